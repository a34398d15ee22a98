"""Cost estimate of a training."""

import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.disks import free_space
from support.real_images import half_size_frames, write_real_images
from support.tiny_training import tiny_config
from support.train_process import TINY, TINY_HAND

from lgnet_core.hand_model import load_hand_layer
from lgnet_core.io.disk import InsufficientSpaceError
from lgnet_core.io.memory import InsufficientMemoryError
from lgnet_core.io.output import OutputError
from lgnet_core.network import PRESETS, build_network
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import write_shards
from lgnet_core.training import mixture
from lgnet_core.training.dry_run import dry_run
from lgnet_core.training.features import teacher_cache
from lgnet_core.training.losses.config import loss_weights
from lgnet_core.training.memory import activation_bytes, check_memory
from lgnet_core.training.mixture import open_mixture
from lgnet_core.training.module import TrainingModule
from lgnet_core.training.train import train


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", TINY)


@pytest.fixture(scope="module")
def stored(hand_model, tmp_path_factory) -> Path:
    return write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(5, hand_model), 8, 64, progress=False)


def test_measures_without_writing_to_the_output_folder(tmp_path, stored):
    settings = tiny_config(tmp_path / "run", data=str(stored), steps=3600, warmup=100)
    cost = dry_run(settings)
    assert cost.hours == pytest.approx(cost.step_seconds)
    assert cost.steps == 3600
    assert cost.images_per_second == pytest.approx(settings.batch_size / cost.step_seconds)
    assert cost.memory > 100e6
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("validation", [8, 5000])
def test_refuses_what_the_real_run_refuses(tmp_path, stored, validation):
    """Eight images, all held out for validation."""
    settings = tiny_config(tmp_path / "run", data=str(stored), validation=validation)
    with pytest.raises(ValueError, match="holds out all of its 8 images"):
        train(settings)
    with pytest.raises(ValueError, match="holds out all of its 8 images"):
        dry_run(settings)


def test_refuses_batches_that_do_not_fit_into_memory(tmp_path, stored):
    """The dry run too."""
    settings = tiny_config(tmp_path / "run", data=str(stored), batch_size=50_000_000)
    with pytest.raises(InsufficientMemoryError, match=r"50000000 images in 1 .*GB .*reduce --batch-size"):
        dry_run(settings)
    with pytest.raises(InsufficientMemoryError, match=r"in 5000 process.* or --devices"):
        train(tiny_config(tmp_path / "run", data=str(stored), batch_size=16, devices=5000))


def test_refuses_checkpoints_that_do_not_fit_on_the_disk(tmp_path, stored, monkeypatch):
    """The dry run, which writes to another folder, names that of the real run."""
    free_space(monkeypatch, 20_000_000, below=tmp_path)
    settings = tiny_config(tmp_path / "run", data=str(stored))
    for run in (train, dry_run):
        with pytest.raises(InsufficientSpaceError, match=rf"{tmp_path / 'run'}: the checkpoints .*--out"):
            run(settings)


def test_refuses_to_hold_out_all_real_images(tmp_path, hand_model, monkeypatch):
    """At once if there are too few images, and after they were labelled if only those with confident hands are."""
    monkeypatch.setitem(PRESETS, "tiny-hand", TINY_HAND)
    monkeypatch.setattr(teacher_cache, "VARIANTS", 1)
    monkeypatch.setattr(mixture, "VARIANTS", 1)
    stored = write_shards(tmp_path / "set", SyntheticHands(5, hand_model), 24, 64, progress=False)
    root = write_real_images(tmp_path / "real", [*half_size_frames(), *[np.full((96, 96, 3), 9, np.uint8)] * 8])
    settings = tiny_config(
        tmp_path / "run", preset="tiny-hand", data=f"realhands,{stored}", root=root, freeze_backbone=True, batch_size=1
    )
    with pytest.raises(ValueError, match="realhands: --validation 20 holds out all of its 10 images"):
        dry_run(replace(settings, validation=40))
    for run in (train, dry_run):
        with pytest.raises(ValueError, match="realhands: --validation 4 holds out all of its 2 images"):
            run(replace(settings, validation=8))


@pytest.mark.parametrize(("precision", "fits"), [("auto", True), ("32-true", False)])
def test_batches_are_compared_with_the_memory_of_the_gpu(tmp_path, stored, monkeypatch, precision, fits):
    """Mixed precision halves what a batch needs."""
    config = tiny_config(tmp_path / "run", data=str(stored), batch_size=16, precision=precision)
    hand_model = load_hand_layer(None)
    sources = open_mixture(config, hand_model, "cpu", None)
    network = build_network(config.network(), hand_model)
    module = TrainingModule(network, config.optimisation(), loss_weights(config.losses, network.config.kind), None)
    states = 5 * sum(p.nbytes for p in network.parameters())
    free = int(states + 1.3 * 16 * activation_bytes(module, sources) * 0.75)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 10 * free))
    with (
        nullcontext()
        if fits
        else pytest.raises(
            InsufficientMemoryError, match=r"batches of 16 images on the GPU: needs about .* GB .*; reduce --batch-size"
        )
    ):
        check_memory(config, module, sources, 1, cuda=True)


def test_unusable_folder_of_temporary_files_is_one_line(tmp_path, stored, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match=r"temporary folder .*: No such file or directory; set TMPDIR"):
        dry_run(tiny_config(tmp_path / "run", data=str(stored)))


def test_runs_few_steps_with_little_validation(tmp_path, stored, monkeypatch, caplog):
    """The number of steps is logged first; with gradient accumulation a step takes several batches."""
    clock = {"now": 0.0}
    monkeypatch.setattr("lgnet_core.training.dry_run.time.perf_counter", lambda: clock["now"])

    def train_stub(shortened, callbacks):
        assert "measuring 4 steps, 1 of them for warm-up" in caplog.text
        assert (shortened.steps, shortened.validation, shortened.progress) == (4, 2, True)
        trainer = SimpleNamespace(accumulate_grad_batches=shortened.accumulate)
        for index in range(shortened.steps * shortened.accumulate):
            clock["now"] += 1.0
            callbacks[0].on_train_batch_end(trainer, SimpleNamespace(device=torch.device("cpu")), None, None, index)

    monkeypatch.setattr("lgnet_core.training.dry_run.train", train_stub)
    settings = tiny_config(tmp_path / "run", data=str(stored), validation=4, accumulate=3, progress=True)
    with caplog.at_level("INFO", "lgnet_core"):
        assert dry_run(settings).step_seconds == pytest.approx(3.0)
