"""Jitter and lag of sequences with known noise and delay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lgnet_core.data.clip import Clip, read_clip
from lgnet_core.evaluation.end_to_end import clip_jitter
from lgnet_core.evaluation.end_to_end.clip_jitter import (
    NOISE_MODEL,
    RATE,
    jitter_metrics,
    lag,
    score_estimates,
    simulate_estimates,
    smooth_estimates,
)
from lgnet_core.inference import Smoothing
from lgnet_core.types import Side


def static_clip(clip: Clip, count: int) -> Clip:
    joints, presence = (np.repeat(a[:1], count, 0) for a in (clip.joints, clip.presence))
    return replace(clip, frames=[], joints=joints, presence=presence)


def test_jitter_of_white_noise():
    """The second difference of white noise has sqrt(6) times its standard deviation, sqrt(3) more for three
    coordinates. Noise of the wrist and of the shape add up.
    """
    clip = static_clip(read_clip(), 400)
    estimates = simulate_estimates(clip)
    row = score_estimates("static", "model", "tracked", estimates, estimates, clip)
    shape, ray, depth = (NOISE_MODEL[name] for name in ("shape", "ray", "depth"))
    assert row.jitter_relative == pytest.approx(1000 * np.sqrt(6 * 3) * shape * np.sqrt(20 / 21), rel=0.03)
    along = (clip.joints[0, :, 0] / clip.joints[0, :, 0, 2:]) ** 2
    wrist = 3 * ray**2 + depth**2 * along.sum(-1).mean()
    assert row.jitter == pytest.approx(1000 * np.sqrt(6 * (wrist + 3 * shape**2 * 20 / 21)), rel=0.05)
    assert np.isnan(row.lag)
    assert (row.missed, row.tracks) == (0, 2)
    smoothed = score_estimates("static", "model", "smoothed", smooth_estimates(estimates, Smoothing()), estimates, clip)
    assert smoothed.jitter < 0.3 * row.jitter
    assert smoothed.error < row.error


def test_gap_in_a_track_is_not_bridged():
    """A displacement of 10 cm after a gap is no jump: each run of frames is evaluated separately."""
    clip = static_clip(read_clip(), 20)
    estimates_ = simulate_estimates(clip)
    displaced = [
        replace(h, left=None, right=replace(h.right, joints=clip.joints[k, Side.RIGHT] + (0.1 if k > 10 else 0)))
        for k, h in enumerate(estimates_)
    ]
    continuous = score_estimates("static", "model", "tracked", displaced, displaced, clip)
    assert continuous.jitter > 10
    displaced[10] = replace(displaced[10], right=None)
    row = score_estimates("static", "model", "tracked", displaced, displaced, clip)
    assert row.jitter == pytest.approx(0, abs=1e-9)
    assert row.missed == 21
    assert row.error == pytest.approx(1000 * np.sqrt(3) * 0.1 * 9 / 19)


@pytest.mark.parametrize("frames", [0, 1, 2.5])
def test_lag_of_delayed_track(frames):
    times = np.arange(90) / RATE
    phases = np.linspace(0, 2, 63)
    undelayed, delayed = (
        np.sin(2 * np.pi * (1.1 * (times[:, None] - delay) + phases)).reshape(-1, 21, 3) for delay in (0, frames / RATE)
    )
    noise = np.random.default_rng(0).normal(0, 0.05, undelayed.shape)
    assert lag([(delayed + noise, undelayed)]) == pytest.approx(frames / RATE, abs=0.004)
    assert np.isnan(lag([(delayed[:10], undelayed[:10])]))


def test_json_has_all_settings_and_table_the_default(monkeypatch):
    clip = static_clip(read_clip(), 30)
    estimates = simulate_estimates(clip)
    default, other = "smoothed 1 Hz, 30/m", "smoothed 2 Hz, 10/m"
    configurations = ("tracked", default, other)
    results = [
        score_estimates("static", "model", configuration, estimates, estimates, clip)
        for configuration in configurations
    ]
    metrics, details = jitter_metrics(results)
    assert list(metrics["static"]["jitter, mm"]) == ["model: tracked", "model: tracked, smoothed"]
    assert [row["configuration"] for row in details["results"]] == list(configurations)
    assert Smoothing() in clip_jitter.SETTINGS
