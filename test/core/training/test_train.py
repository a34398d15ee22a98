"""Trainings of a tiny network: resuming, distributed training and gradient accumulation."""

import json
import math
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import Callback
from safetensors.torch import load_file
from support.paths import ROOT
from support.tiny_training import logged_values, tiny_config
from support.train_process import TINY, TINY_HAND, visited_samples
from support.waiting import wait_for

from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.asset import BUNDLED_ASSET, read_asset
from lgnet_core.network import PRESETS
from lgnet_core.network.checkpoint import load_network
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import write_shards
from lgnet_core.training.dry_run import dry_run
from lgnet_core.training.mixture import open_mixture
from lgnet_core.training.sampling import SampleIndex
from lgnet_core.training.train import _augmentation, epochs_to_steps, train
from lgnet_core.training.train_config import LAST, WEIGHTS, TrainConfig

PROCESS = ROOT / "test" / "support" / "train_process.py"


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", TINY)


@pytest.fixture(scope="module")
def stored(hand_model, tmp_path_factory) -> Path:
    return write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(5, hand_model), 8, 64, progress=False)


def test_training_on_generated_images(tmp_path, hand_model):
    """Two steps write logs, a checkpoint and weights with metadata."""
    weights = train(tiny_config(tmp_path / "run", progress=True))
    network, metadata = load_network(weights, hand_model)
    assert network.config == TINY
    assert metadata["preset"] == "tiny"
    assert metadata["steps"] == 2
    assert metadata["images"] == 4
    assert {"mpvpe_mm", "mpjpe_mm", "presence"} <= set(metadata["figures"])
    assert (tmp_path / "run" / "last.ckpt").exists()
    assert list((tmp_path / "run" / "logs" / "0").glob("events*"))
    assert set(logged_values(tmp_path / "run")) == {0, 1}
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["batch_size"] == 2


@pytest.mark.parametrize(
    ("epoch_steps", "interruption", "freeze_early"),
    [(1, {"steps": 2}, False), (3, {"max_minutes": 1e-9}, False), (3, {"max_minutes": 1e-9}, True)],
)
def test_resumed_training_is_bit_identical(tmp_path, stored, epoch_steps, interruption, freeze_early):
    """Interrupted at the end of an epoch or within one: equal losses and weights."""
    whole = tiny_config(
        tmp_path / "whole", data=str(stored), steps=3, epoch_steps=epoch_steps, freeze_early=freeze_early
    )
    train(whole)
    parts = replace(whole, out=tmp_path / "parts")
    train(replace(parts, **interruption))
    train(parts)
    expected = logged_values(whole.out)
    assert {step: loss for step, loss in logged_values(parts.out).items() if step in expected} == expected
    torch.testing.assert_close(
        load_file(parts.out / "weights.safetensors"), load_file(whole.out / "weights.safetensors"), rtol=0, atol=0
    )


@pytest.mark.parametrize(
    ("options", "unfrozen_blocks"),
    [
        ({}, 0),
        ({"train_deep": True}, 4),
        ({"train_deep": True, "thaw_steps": 2, "dense_supervision": True}, 1),
    ],
    ids=["stages", "stages and deep layers", "gradual unfreezing"],
)
def test_resumed_training_on_cached_features_is_bit_identical(tmp_path, stored, monkeypatch, options, unfrozen_blocks):
    """Frozen layers and all statistics of the landmark network are unchanged, and features are computed once."""
    train_deep = bool(options)
    monkeypatch.setitem(PRESETS, "tiny-hand", TINY_HAND)
    whole = tiny_config(tmp_path / "whole", preset="tiny-hand", data=str(stored), steps=3, epoch_steps=3)
    whole = replace(whole, freeze_backbone=True, initial="pretrained", learning_rate=1e-2, **options)
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
    block_count = len(landmarker.encoder.blocks)
    deep = [f"blocks.{k}." for k in range(block_count - unfrozen_blocks, block_count)]
    trainable = (*(f"encoder.{name}" for name in (*deep, "expand", "depthwise")), "side", "presence", "landmarks")
    changed = set()
    for name, value in landmarker.state_dict().items():
        value_after = trained[f"landmarker.{name}"].to(value)
        if train_deep and name.startswith(trainable) and "running" not in name:
            if not torch.allclose(value_after, value, rtol=2e-3, atol=1e-4):
                changed.add(name)
        elif not (train_deep and name.startswith("world_landmarks")):
            torch.testing.assert_close(value_after, value, rtol=2e-3, atol=1e-4)
    assert bool(changed) == train_deep


def start(settings: TrainConfig, *pause_at: int) -> subprocess.Popen:
    """Start a training in a separate process, which waits before a step until it is killed."""
    command = [sys.executable, str(PROCESS), json.dumps(asdict(settings), default=str), *map(str, pause_at)]
    return subprocess.Popen(command)


def test_killed_training_resumes_bit_identically(tmp_path, stored):
    """After kill -9: equal losses and weights."""
    whole = tiny_config(tmp_path / "whole", data=str(stored), steps=4)
    parts = replace(whole, out=tmp_path / "parts")
    killed = start(parts, 2)
    try:
        wait_for(lambda: killed.poll() is not None or (parts.out / LAST).exists(), "a checkpoint")
        assert killed.poll() is None
    finally:
        killed.kill()
        killed.wait()
    saved = int(load_network(parts.out / WEIGHTS)[1]["steps"])
    assert saved in (1, 2)
    train(whole)
    train(parts)
    expected = {step: loss for step, loss in logged_values(whole.out).items() if step >= saved}
    assert expected
    assert {step: loss for step, loss in logged_values(parts.out).items() if step >= saved} == expected
    torch.testing.assert_close(load_file(parts.out / WEIGHTS), load_file(whole.out / WEIGHTS), rtol=0, atol=0)


def test_distributed_training(tmp_path, stored):
    """Two processes on the CPU with gradient accumulation: each step uses two batches of each process, and each of the
    four training images is visited once per pass, by one of the processes.
    """
    assert (
        start(tiny_config(tmp_path, data=str(stored), devices=2, validation=4, batch_size=1, accumulate=2)).wait() == 0
    )
    _, metadata = load_network(tmp_path / WEIGHTS)
    assert (metadata["steps"], metadata["images"]) == (2, 8)
    samples = [set(path.read_text().splitlines()) for path in sorted(tmp_path.glob("samples_*"))]
    assert len(samples) == 2
    assert not samples[0] & samples[1]
    assert sorted(visited_samples(tmp_path)) == [
        SampleIndex(0, image, visit) for image in range(4) for visit in range(2)
    ]
    assert {"mpvpe_mm", "presence"} <= set(metadata["figures"])
    assert all(math.isfinite(loss) for loss in logged_values(tmp_path).values())


@pytest.mark.slow
def test_training_on_several_nodes_with_torchrun(tmp_path, stored):
    """Two nodes of one process each on this machine; torchrun overrides the settings."""
    settings = json.dumps(asdict(tiny_config(tmp_path, data=str(stored), validation=4)), default=str)
    common = ["--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", "29611"]
    command = [sys.executable, "-m", "torch.distributed.run", *common]
    nodes = [subprocess.Popen([*command, "--node-rank", str(rank), str(PROCESS), settings]) for rank in range(2)]
    assert [node.wait() for node in nodes] == [0, 0]
    assert load_network(tmp_path / WEIGHTS)[1]["images"] == 8
    assert sorted(visited_samples(tmp_path)) == [
        SampleIndex(0, image, visit) for image in range(4) for visit in range(2)
    ]


def test_gradient_accumulation(tmp_path, stored):
    """Resumed training is bit-identical, and the averaged weights are updated once per step."""
    whole = tiny_config(tmp_path / "whole", data=str(stored), accumulate=2, steps=3, epoch_steps=3)
    averaged = []

    class RecordAverages(Callback):
        def on_train_batch_start(self, trainer, module, *_):
            averaged.append(int(module.average.n_averaged))

    train(whole, [RecordAverages()])
    assert averaged == [0, 0, 1, 1, 2, 2]
    assert load_network(whole.out / WEIGHTS)[1]["images"] == 3 * 2 * 2
    parts = replace(whole, out=tmp_path / "parts")
    train(replace(parts, max_minutes=1e-9))
    assert load_network(parts.out / WEIGHTS)[1]["steps"] == 1
    train(parts)
    torch.testing.assert_close(load_file(parts.out / WEIGHTS), load_file(whole.out / WEIGHTS), rtol=0, atol=0)


def test_epochs_are_converted_to_steps(tmp_path, stored, hand_model):
    """Six images, thirty epochs, four images per step and device: rounded up."""
    settings = tiny_config(tmp_path, data=str(stored), epochs=30, batch_size=2, accumulate=2)
    mixture = open_mixture(settings, hand_model, "cpu", None)
    assert epochs_to_steps(settings, mixture, world_size=1).steps == 45
    assert epochs_to_steps(settings, mixture, world_size=2).steps == 23
    assert epochs_to_steps(replace(settings, epochs=0), mixture, world_size=2).steps == settings.steps
    endless = replace(settings, data="synthetic")
    assert dry_run(replace(settings, epochs=2, validation=2)).steps == 3  # of the configured training images
    with pytest.raises(ValueError, match="give --steps"):
        epochs_to_steps(endless, open_mixture(endless, hand_model, "cpu", None), world_size=1)


def test_learning_rate_follows_the_schedule(tmp_path, stored):
    """Two warm-up steps, then a cosine, across an interruption."""
    settings = tiny_config(tmp_path, data=str(stored), schedule="cosine", warmup=2, steps=5, learning_rate=1e-3)
    train(replace(settings, max_minutes=1e-9))
    train(settings)
    expected = [0.5, 1.0, *(0.01 + 0.99 * (1 + math.cos(math.pi * k / 3)) / 2 for k in range(3))]
    logged = logged_values(tmp_path, "train/learning_rate")
    assert [logged[step] for step in range(5)] == pytest.approx([1e-3 * factor for factor in expected])


def test_mixed_precision_on_the_cpu(tmp_path, stored):
    """The losses are close to those in single precision."""
    single, mixed = (
        tiny_config(tmp_path / "single", data=str(stored)),
        tiny_config(tmp_path / "mixed", data=str(stored)),
    )
    train(single)
    train(replace(mixed, precision="bf16-mixed"))
    assert logged_values(mixed.out) == pytest.approx(logged_values(single.out), rel=0.02)
    assert logged_values(mixed.out) != logged_values(single.out)


def test_rejects_resuming_with_other_settings(tmp_path, stored):
    train(tiny_config(tmp_path, data=str(stored), steps=1))
    with pytest.raises(ValueError, match=r"batch_size=2, which cannot change to 3"):
        train(tiny_config(tmp_path, data=str(stored), batch_size=3))
    with pytest.raises(ValueError, match=r"validation=2, which cannot change to 4"):  # would train on held-out images
        train(tiny_config(tmp_path, data=str(stored), validation=4))
    with pytest.raises(ValueError, match="already contains a training"):
        train(tiny_config(tmp_path, data=str(stored), resume="never"))
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        train(tiny_config(tmp_path / "new", data=str(stored), resume="nowhere.ckpt"))


@pytest.mark.parametrize("changes", [{}, {"preset": "tiny-hand", "freeze_backbone": True}], ids=["images", "features"])
def test_rejects_holding_out_all_images(tmp_path, stored, monkeypatch, changes):
    monkeypatch.setitem(PRESETS, "tiny-hand", TINY_HAND)
    with pytest.raises(ValueError, match="--validation 8 holds out all of its 8 images"):
        train(tiny_config(tmp_path, data=str(stored), validation=8, **changes))


def test_images_are_mirrored_only_for_symmetric_hand_models(hand_model, caplog):
    """Otherwise the setting is ignored with a warning."""
    right = read_asset(BUNDLED_ASSET)
    left = replace(right.mirrored(), v_template=right.mirrored().v_template * np.float32(1.01))
    settings = tiny_config(Path("unused"))
    assert _augmentation(settings, hand_model).flip == 0.5
    assert _augmentation(replace(settings, flip=False), hand_model).flip == 0
    assert not caplog.records
    rounded = replace(right.mirrored(), v_template=right.mirrored().v_template + np.float32(1e-6), faces=right.faces)
    assert _augmentation(settings, HandModel(right, rounded)).flip == 0.5
    assert not caplog.records
    assert _augmentation(settings, HandModel(right, left)).flip == 0
    assert "images are not mirrored" in caplog.text
    assert _augmentation(replace(settings, augment=False), HandModel(right, left)) is None


def test_geometric_augmentation_without_photometric_augmentation(hand_model):
    settings = tiny_config(Path("unused"), augment=True, rotation=0.0)
    full, geometric = (_augmentation(replace(settings, recolour=on), hand_model) for on in (True, False))
    assert full.photometry is not None
    assert full.background > 0
    assert geometric == replace(full, photometry=None, background=0.0)
    assert geometric.is_geometric
