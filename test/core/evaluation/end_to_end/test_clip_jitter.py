"""Jitter and lag where they are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lgnet_core.data.clip import Clip, read_clip
from lgnet_core.evaluation.end_to_end import clip_jitter
from lgnet_core.evaluation.end_to_end.clip_jitter import MODEL, RATE, jitter_figures, judge, lag, modelled, smoothed
from lgnet_core.inference import Smoothing
from lgnet_core.types import Side


def still(clip: Clip, count: int) -> Clip:
    joints, presence = (np.repeat(a[:1], count, 0) for a in (clip.joints, clip.presence))
    return replace(clip, frames=[], joints=joints, presence=presence)


def test_jitter_of_white_noise():
    """The second difference of white noise has sqrt(6) of its deviation; three coordinates, sqrt(3) more. Without depth
    the rays of the wrist and the shape add up."""
    clip = still(read_clip(), 400)
    found = modelled(clip)
    row = judge("still", "model", "followed", found, found, clip)
    shape, ray, depth = (MODEL[name] for name in ("shape", "ray", "depth"))
    assert row.jitter_relative == pytest.approx(1000 * np.sqrt(6 * 3) * shape * np.sqrt(20 / 21), rel=0.03)
    along = (clip.joints[0, :, 0] / clip.joints[0, :, 0, 2:]) ** 2
    wrist = 3 * ray**2 + depth**2 * along.sum(-1).mean()
    assert row.jitter == pytest.approx(1000 * np.sqrt(6 * (wrist + 3 * shape**2 * 20 / 21)), rel=0.05)
    assert np.isnan(row.lag)
    assert (row.missed, row.tracks) == (0, 2)
    calm = judge("still", "model", "smoothed", smoothed(found, Smoothing()), found, clip)
    assert calm.jitter < 0.3 * row.jitter
    assert calm.error < row.error


def test_a_hole_is_not_bridged():
    """A hand 10 cm aside after a hole did not jump: each run of frames is judged for itself."""
    clip = still(read_clip(), 20)
    exact = modelled(clip)
    aside = [
        replace(h, left=None, right=replace(h.right, joints=clip.joints[k, Side.RIGHT] + (0.1 if k > 10 else 0)))
        for k, h in enumerate(exact)
    ]
    jumped = judge("still", "model", "followed", aside, aside, clip)
    assert jumped.jitter > 10
    aside[10] = replace(aside[10], right=None)
    row = judge("still", "model", "followed", aside, aside, clip)
    assert row.jitter == pytest.approx(0, abs=1e-9)
    assert row.missed == 21
    assert row.error == pytest.approx(1000 * np.sqrt(3) * 0.1 * 9 / 19)


@pytest.mark.parametrize("frames", [0, 1, 2.5])
def test_lag_of_a_delayed_track(frames):
    times = np.arange(90) / RATE
    phases = np.linspace(0, 2, 63)
    early, late = (
        np.sin(2 * np.pi * (1.1 * (times[:, None] - delay) + phases)).reshape(-1, 21, 3) for delay in (0, frames / RATE)
    )
    noise = np.random.default_rng(0).normal(0, 0.05, early.shape)
    assert lag([(late + noise, early)]) == pytest.approx(frames / RATE, abs=0.004)
    assert np.isnan(lag([(late[:10], early[:10])]))


def test_every_setting_is_written_and_the_default_shown(monkeypatch):
    clip = still(read_clip(), 30)
    found = modelled(clip)
    default, other = "smoothed 1 Hz, 30/m", "smoothed 2 Hz, 10/m"
    ways = ("followed", default, other)
    results = [judge("still", "model", way, found, found, clip) for way in ways]
    figures, details = jitter_figures(results)
    assert list(figures["still"]["jitter, mm"]) == ["model: followed", "model: followed, smoothed"]
    assert [row["way"] for row in details["results"]] == list(ways)
    assert Smoothing() in clip_jitter.SETTINGS
