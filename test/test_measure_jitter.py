"""The jitter tool's own figures, where they are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lgnet_core.demo import read_clip
from lgnet_core.inference import Smoothing


@pytest.fixture(scope="module")
def tool():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).resolve().parent.parent / "tools")
        import measure_jitter

        yield measure_jitter


def still(clip, count: int):
    joints, presence = (np.repeat(a[:1], count, 0) for a in (clip.joints, clip.presence))
    return replace(clip, frames=[], joints=joints, presence=presence)


def test_jitter_of_white_noise(tool):
    """The second difference of white noise has sqrt(6) of its deviation; three coordinates, sqrt(3) more. Without depth
    the rays of the wrist and the shape add up."""
    clip = still(read_clip(), 400)
    found = tool.modelled(clip)
    row = tool.evaluate("still", "model", "followed", found, found, clip)
    shape, ray, depth = (tool.MODEL[name] for name in ("shape", "ray", "depth"))
    assert row.jitter_relative == pytest.approx(1000 * np.sqrt(6 * 3) * shape * np.sqrt(20 / 21), rel=0.03)
    along = (clip.joints[0, :, 0] / clip.joints[0, :, 0, 2:]) ** 2
    wrist = 3 * ray**2 + depth**2 * along.sum(-1).mean()
    assert row.jitter == pytest.approx(1000 * np.sqrt(6 * (wrist + 3 * shape**2 * 20 / 21)), rel=0.05)
    assert np.isnan(row.lag)
    assert row.missed == 0
    calm = tool.evaluate("still", "model", "smoothed", tool.smoothed(found, Smoothing()), found, clip)
    assert calm.jitter < 0.3 * row.jitter
    assert calm.error < row.error


@pytest.mark.parametrize("frames", [0, 1, 2.5])
def test_lag_of_a_delayed_track(tool, frames):
    times = np.arange(90) / tool.RATE
    phases = np.linspace(0, 2, 63)
    early, late = (
        np.sin(2 * np.pi * (1.1 * (times[:, None] - delay) + phases)).reshape(-1, 21, 3)
        for delay in (0, frames / tool.RATE)
    )
    noise = np.random.default_rng(0).normal(0, 0.05, early.shape)
    assert tool.lag([(late + noise, early)]) == pytest.approx(frames / tool.RATE, abs=0.004)
    assert np.isnan(tool.lag([(late[:10], early[:10])]))
