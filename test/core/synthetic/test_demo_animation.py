"""The demo clip's script: its times, its symmetry, and that the bundled clip is what it draws."""

from __future__ import annotations

import numpy as np
import torch

from lgnet_core.data.clip import read_clip
from lgnet_core.synthetic.script import SCRIPT, animate, draw_clip


def test_a_rate_changes_the_times_and_nothing_else():
    """Every third frame of the script at 30 Hz is a frame of it at 10 Hz."""
    slow, fast = animate(), animate(1 / 3)
    assert len(slow[0]) == SCRIPT[-1][0] + 1
    for coarse, fine in zip(slow, fast):
        torch.testing.assert_close(fine[::3], coarse, atol=2e-6, rtol=0)


def test_frames_of_the_hands_are_rotations():
    _, frames, _ = animate(0.5)
    torch.testing.assert_close(frames @ frames.mT, torch.eye(3).expand_as(frames), atol=1e-5, rtol=0)
    assert (torch.linalg.det(frames) > 0).all()


def test_the_bundled_clip_is_of_this_script():
    """Its true joints, in every thirteenth frame."""
    bundled, drawn = read_clip(), draw_clip(frames_per_second=10 / 13)
    np.testing.assert_allclose(drawn.joints, bundled.joints[::13], atol=1e-5)
    np.testing.assert_array_equal(drawn.presence, bundled.presence[::13])
