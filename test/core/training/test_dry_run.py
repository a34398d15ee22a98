"""Cost estimate of a training."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.tiny_training import tiny_config
from support.train_process import TINY

from lgnet_core.io.memory import InsufficientMemoryError
from lgnet_core.network import PRESETS
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import write_shards
from lgnet_core.training.dry_run import dry_run
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
