"""The detector's pictures: boxes hold the hands, and move with every change of the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lgnet_core.checkpoint import load_region_net
from lgnet_core.data.sample import LEFT_HAND, RIGHT_HAND
from lgnet_core.data.synthetic.generator import SyntheticHands
from lgnet_core.hand_model import HandModel
from lgnet_core.network.region_net import REGION_IMAGE_SIZE, RegionNet
from lgnet_core.training import region_training
from lgnet_core.training.region_training import (
    ASPECTS,
    UNFINISHED,
    WEIGHTS,
    RegionModule,
    RegionPictures,
    RegionTrainConfig,
    change,
    draw_region_pictures,
    evaluate_regions,
    prepare_pictures,
    train_and_save,
    train_regions,
)


@pytest.fixture(scope="module")
def generator(hand_model: HandModel) -> SyntheticHands:
    return SyntheticHands(5, hand_model)


@pytest.mark.parametrize(("width", "height"), ASPECTS)
def test_boxes_hold_the_hands_pixels(generator: SyntheticHands, width: int, height: int) -> None:
    indices = torch.arange(12)
    pictures = draw_region_pictures(generator, indices, width, height)
    assert pictures.image.shape == (12, 3, REGION_IMAGE_SIZE, REGION_IMAGE_SIZE)
    segmentation = generator.pictures(indices, width, height).segmentation
    shift = torch.tensor([(REGION_IMAGE_SIZE - width) // 2, (REGION_IMAGE_SIZE - height) // 2])
    assert torch.equal(pictures.presence, generator.pictures(indices, width, height).presence)
    for k, side in pictures.presence.nonzero().tolist():
        v, u = (segmentation[k] == (RIGHT_HAND, LEFT_HAND)[side]).nonzero().T
        left, top, right, bottom = (pictures.boxes[k, side] - shift.repeat(2)).tolist()
        assert left - 1 <= u.min()
        assert u.max() <= right + 1
        assert top - 1 <= v.min()
        assert v.max() <= bottom + 1


def test_palms_lie_in_their_boxes(generator: SyntheticHands) -> None:
    pictures = draw_region_pictures(generator, torch.arange(48), *ASPECTS[0])
    low, high = pictures.boxes[..., :2], pictures.boxes[..., 2:]
    inside = ((pictures.palms >= low - 1e-3) & (pictures.palms <= high + 1e-3)).all(-1)
    assert inside[pictures.presence].all()


def test_changed_boxes_follow_the_picture() -> None:
    """A bright square is still where its box says after mirror, shift and scale."""
    size = REGION_IMAGE_SIZE
    image = torch.zeros(40, 3, size, size, dtype=torch.uint8)
    image[:, :, 70:100, 50:90] = 255
    boxes = torch.tensor([[50.0, 70.0, 89.0, 99.0], [0.0, 0.0, 0.0, 0.0]]).expand(40, 2, 4).clone()
    presence = torch.tensor([[True, False]]).repeat(40, 1)
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    pictures = RegionPictures(image, middle, boxes, presence)
    changed = change(pictures, torch.Generator().manual_seed(1), settings=None)
    assert changed.presence[:, 0].all()
    for k, slot in changed.presence.nonzero().tolist():
        v, u = (changed.image[k].mean(0) > 0.5).nonzero().T
        seen = torch.stack([u.min(), v.min(), u.max(), v.max()]).float()
        torch.testing.assert_close(changed.boxes[k, slot], seen, atol=1.5, rtol=0)
        if seen.min() > 1 and seen.max() < size - 2:
            torch.testing.assert_close(changed.palms[k, slot], (seen[:2] + seen[2:]) / 2, atol=1.5, rtol=0)


def test_without_moves_and_colours_pictures_are_only_mirrored(generator: SyntheticHands) -> None:
    pictures = draw_region_pictures(generator, torch.arange(24), *ASPECTS[0])
    changed = change(pictures, torch.Generator().manual_seed(1), settings=None, moves=False)
    assert torch.equal(changed.presence, pictures.presence)
    mirrored = 0
    for k, (before, after) in enumerate(zip(pictures.image.float() / 255, changed.image)):
        flip = (after - before.flip(-1)).abs().max() < (after - before).abs().max()
        mirrored += int(flip)
        torch.testing.assert_close(after, before.flip(-1) if flip else before, atol=1e-3, rtol=0)
        for slot in pictures.presence[k].nonzero().flatten().tolist():
            left, top, right, bottom = pictures.boxes[k, slot].tolist()
            u, v = pictures.palms[k, slot].tolist()
            last = REGION_IMAGE_SIZE - 1
            box, palm = (
                ([last - right, top, last - left, bottom], [last - u, v])
                if flip
                else ([left, top, right, bottom], [u, v])
            )
            torch.testing.assert_close(changed.boxes[k, slot], torch.tensor(box), atol=1e-3, rtol=0)
            torch.testing.assert_close(changed.palms[k, slot], torch.tensor(palm), atol=1e-3, rtol=0)
    assert 0 < mirrored < 24


def test_a_short_training_runs_and_is_judged(
    tmp_path: Path, hand_model: HandModel, generator: SyntheticHands, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = RegionTrainConfig(out=tmp_path, count=8, steps=2, batch_size=4)
    monkeypatch.setattr(region_training, "HELD_OUT", 4)
    net, metadata = load_region_net(train_and_save(config, hand_model))
    assert not (tmp_path / UNFINISHED).exists()
    assert metadata["training"]["steps"] == 2
    assert 0 <= metadata["figures"]["recall"] <= 1
    report = evaluate_regions(net, draw_region_pictures(generator, torch.arange(4), *ASPECTS[0]))
    assert 0 <= report["recall"] <= 1
    still = replace(config, initial=config.out / WEIGHTS, steps=1, learning_rate=0.0)
    for mine, theirs in zip(net.parameters(), train_regions(still, hand_model).parameters()):
        assert torch.equal(mine, theirs)  # it goes on from there


@pytest.mark.parametrize("augment", [True, False])
def test_a_training_without_augmentation_shows_the_pictures_as_they_are(
    tmp_path: Path, hand_model: HandModel, monkeypatch: pytest.MonkeyPatch, augment: bool
) -> None:
    """Or mirrored: what each step is trained on is found among the drawn pictures."""
    config = RegionTrainConfig(out=tmp_path, count=8, steps=2, batch_size=4, augment=augment)
    drawn = prepare_pictures(config, hand_model).image.float() / 255
    shown: list[torch.Tensor] = []
    step = region_training.RegionModule.training_step

    def recorded(self: region_training.RegionModule, batch: RegionPictures, index: int) -> torch.Tensor:
        shown.extend(batch.image)
        return step(self, batch, index)

    monkeypatch.setattr(region_training.RegionModule, "training_step", recorded)
    train_regions(config, hand_model)
    known = torch.cat([drawn, drawn.flip(-1)])
    apart = [float((known - image).abs().amax((1, 2, 3)).min()) for image in shown]
    assert len(apart) == 8
    assert (max(apart) < 1e-3) == (not augment)


@pytest.mark.parametrize("augment", [True, False])
def test_a_stopped_training_goes_on_as_if_it_had_not_been_stopped(
    tmp_path: Path, hand_model: HandModel, monkeypatch: pytest.MonkeyPatch, augment: bool
) -> None:
    monkeypatch.setattr(region_training, "SAVED_STEPS", 2)
    config = RegionTrainConfig(out=tmp_path / "whole", count=8, steps=4, batch_size=4, augment=augment)
    whole = train_regions(config, hand_model)

    stopped = replace(config, out=tmp_path / "stopped")
    shown = region_training.change
    calls: list[int] = []

    def power_cut(*arguments: object, **more: object) -> RegionPictures:
        calls.append(len(calls))
        if len(calls) == 4:
            raise MemoryError
        return shown(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(region_training, "change", power_cut)
    with pytest.raises(MemoryError):
        train_regions(stopped, hand_model)
    monkeypatch.setattr(region_training, "change", shown)
    with pytest.raises(ValueError, match=r"unfinished\.ckpt: of a training with steps=4, now 5 is asked"):
        train_regions(replace(stopped, steps=5), hand_model)
    for name, mine in train_regions(stopped, hand_model).state_dict().items():
        assert torch.equal(mine, whole.state_dict()[name]), name
    for name, mine in train_regions(stopped, hand_model).state_dict().items():
        assert torch.equal(mine, whole.state_dict()[name]), name  # stopped after its last step, before it was judged


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx2": True, "avx512_bf16": True, "amx_bf16": False}, True),
        ({"neon": True, "bf16": True}, True),
        (None, False),
    ],
)
def test_bfloat16_only_where_the_cpu_computes_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool] | None, expected: bool
) -> None:
    """None: a version of PyTorch that cannot tell."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    if capabilities is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert region_training.computes_bfloat16() is expected


def test_an_older_checkpoint_had_the_defaults_of_settings_that_it_does_not_know(tmp_path: Path) -> None:
    config = RegionTrainConfig(out=tmp_path)
    checkpoint: dict[str, Any] = {}
    module = RegionModule(config, RegionNet())
    module.on_save_checkpoint(checkpoint)
    del checkpoint["settings"]["augment"]
    module.on_load_checkpoint(checkpoint)
    with pytest.raises(ValueError, match="with augment=True, now False is asked"):
        RegionModule(replace(config, augment=False), RegionNet()).on_load_checkpoint(checkpoint)
