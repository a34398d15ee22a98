"""Callbacks of a training."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
from support.tiny_training import logged_values, tiny_config
from support.train_process import TINY, TINY_HAND

from lgnet_core.network import PRESETS
from lgnet_core.network.checkpoint import load_network
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import write_shards
from lgnet_core.training.callbacks import TimeLimit
from lgnet_core.training.train import train


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", TINY)


@pytest.fixture(scope="module")
def stored(hand_model, tmp_path_factory) -> Path:
    return write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(5, hand_model), 8, 64, progress=False)


@pytest.mark.parametrize(
    "changes",
    [{}, {"preset": "tiny-hand"}, {"preset": "tiny-hand", "freeze_backbone": True}],
    ids=["pair network", "per-hand network", "cached features"],
)
def test_draws_a_prediction_sheet_after_each_epoch(tmp_path, stored, monkeypatch, changes):
    monkeypatch.setitem(PRESETS, "tiny-hand", TINY_HAND)
    train(tiny_config(tmp_path, data=str(stored), validation=5, **changes))
    sheets = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert sheets == ["step_000001.png", "step_000002.png"]
    height, width, _ = cv2.imread(str(tmp_path / "sheets" / sheets[0])).shape
    assert width == 4 * height > 4 * 64  # a row of four, two of them filled by the validation batch


def test_time_limit_exports_weights(tmp_path, stored):
    weights = train(tiny_config(tmp_path, data=str(stored), steps=1000, epoch_steps=100, max_minutes=1e-9))
    assert load_network(weights)[1]["steps"] == 1


def test_validates_after_a_shorter_last_epoch(tmp_path, stored):
    weights = train(tiny_config(tmp_path, data=str(stored), steps=3, epoch_steps=2))
    metadata = load_network(weights)[1]
    assert metadata["steps"] == 3
    validated = logged_values(tmp_path, "val/mpjpe_mm")
    assert list(validated) == [2, 3]
    assert metadata["figures"]["mpjpe_mm"] == pytest.approx(validated[3], abs=1e-3)


@pytest.mark.parametrize("expired", [True, False])
def test_first_process_decides_when_the_time_is_over(expired):
    """Regardless of this process's clock, and only between two steps."""
    sent = []
    strategy = SimpleNamespace(broadcast=lambda value: sent.append(value) or expired)
    trainer = SimpleNamespace(should_stop=False, accumulate_grad_batches=2, strategy=strategy)
    callback = TimeLimit(timedelta(hours=1) if expired else timedelta(0))
    callback.on_train_batch_end(trainer, None, None, None, index=0)
    assert not sent
    callback.on_train_batch_end(trainer, None, None, None, index=1)
    assert sent == [not expired]
    assert trainer.should_stop is expired
