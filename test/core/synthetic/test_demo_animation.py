"""Keyframe animation of the demo clip, and the bundled clip rendered from it."""

from __future__ import annotations

import numpy as np
import torch

from lgnet_core.data.clip import read_clip
from lgnet_core.synthetic.demo_animation import KEYFRAMES, interpolate_keyframes, render_clip


def test_frame_rate_only_changes_sampling_times():
    """Every third frame at 30 Hz equals a frame at 10 Hz."""
    slow, fast = interpolate_keyframes(), interpolate_keyframes(1 / 3)
    assert len(slow[0]) == KEYFRAMES[-1][0] + 1
    for coarse, fine in zip(slow, fast):
        torch.testing.assert_close(fine[::3], coarse, atol=2e-6, rtol=0)


def test_hand_axes_are_rotations():
    _, frames, _ = interpolate_keyframes(0.5)
    torch.testing.assert_close(frames @ frames.mT, torch.eye(3).expand_as(frames), atol=1e-5, rtol=0)
    assert (torch.linalg.det(frames) > 0).all()


def test_bundled_clip_matches_animation():
    """Compare ground-truth joints and presence of every thirteenth frame."""
    bundled, rendered = read_clip(), render_clip(frames_per_second=10 / 13)
    np.testing.assert_allclose(rendered.joints, bundled.joints[::13], atol=1e-5)
    np.testing.assert_array_equal(rendered.presence, bundled.presence[::13])
