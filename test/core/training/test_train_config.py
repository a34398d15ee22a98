"""Validation of the training configuration."""

from dataclasses import replace

import pytest
from support.tiny_training import tiny_config
from support.train_process import TINY

from lgnet_core.network import PRESETS


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", TINY)


def test_rejects_unknown_devices(tmp_path):
    with pytest.raises(ValueError, match=r"device 'cuda:1': choose auto, cpu or cuda"):
        tiny_config(tmp_path, device="cuda:1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "lgnet-mini", "data": "/sets/a"}, "freeze_backbone: requires the preset lgnet-hand"),
        ({"freeze_backbone": False, "train_deep": True}, "train_deep: requires freeze_backbone"),
        ({"thaw_steps": 100}, "thaw_steps: requires train_deep"),
        ({"preset": "lgnet-hand", "data": "/sets/a", "freeze_backbone": False, "dense_supervision": True}, "dense"),
        (
            {"data": "/sets/a,synthetic=0.5"},
            "cached features, which cannot be mixed with images",
        ),
        ({"data": "/sets/a,realhands", "freeze_backbone": False}, "set freeze_backbone"),
    ],
)
def test_cached_features_require_a_frozen_backbone(tmp_path, changes, message):
    settings = tiny_config(tmp_path, preset="lgnet-hand", data="/sets/a,realhands=0.25", freeze_backbone=True)
    with pytest.raises(ValueError, match=message):
        replace(settings, **changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "lgnet-mini"}, "requires the preset intershape"),
        ({"losses": "heatmaps"}, "the losses default"),
        ({"initial": "pretrained"}, "would remain untrained.*with the losses heatmaps"),
    ],
)
def test_frozen_heatmaps_require_trained_ones(tmp_path, change, message):
    settings = tiny_config(tmp_path, preset="intershape-mini", initial="weights.safetensors")
    with pytest.raises(ValueError, match=message):
        replace(settings, **{"freeze_heatmaps": True, **change})


def test_rejects_omitting_a_missing_refine_stage(tmp_path):
    with pytest.raises(ValueError, match="eanet-mini has no refine stage"):
        tiny_config(tmp_path, preset="eanet-mini", refine=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 100}, "multiple of 32"),
        ({"epoch_steps": 0}, "at least 1"),
        ({"losses": "best"}, "choose one of"),
        ({"optimiser": "sgd"}, "choose one of adamw"),
        ({"warmup": 10}, "warm-up"),
    ],
)
def test_rejects_invalid_settings(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        tiny_config(tmp_path, **change)
