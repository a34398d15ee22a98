"""The demo clip: round trip, errors, and consistency of the bundled file."""

from __future__ import annotations

import numpy as np
import pytest
from support.small_clip import small_clip

from lgnet_core.data.clip import BUNDLED_CLIP, ping_pong_indices, read_clip, write_clip
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.io.files import InputError
from lgnet_core.types import Side


def test_clip_round_trip(tmp_path):
    clip = small_clip()
    write_clip(tmp_path / "clip.npz", clip)
    read = read_clip(tmp_path / "clip.npz")
    assert np.abs(np.stack(read.frames).astype(int) - clip.frames).max() <= 2
    np.testing.assert_allclose(read.joints, clip.joints, atol=1e-6)
    np.testing.assert_array_equal(read.camera.matrix, clip.camera.matrix)
    assert (read.camera.width, read.camera.height, read.frames_per_second) == (160, 120, 10)


def test_ping_pong_has_no_jumps():
    indices = ping_pong_indices(5)
    assert indices == [0, 1, 2, 3, 4, 3, 2, 1]
    assert max(abs(a - b) for a, b in zip(indices, indices[1:] + indices[:1])) == 1


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_invalid_clip_is_rejected(tmp_path, content):
    if content is not None:
        (tmp_path / "clip.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"not a demo clip .* reinstall"):
        read_clip(tmp_path / "clip.npz")


def test_bundled_clip(hand_model):
    """Small; one or two hands with interaction; bones as long as the bundled hand's; joints on the hands' pixels."""
    clip = read_clip()
    assert BUNDLED_CLIP.stat().st_size < 1_000_000
    assert 30 <= len(clip.frames) <= 60
    assert all(frame.shape == (480, 640, 3) for frame in clip.frames)
    assert clip.presence[:, Side.RIGHT].all()
    assert 0 < (~clip.presence[:, Side.LEFT]).sum() < 10
    near = np.linalg.norm(clip.joints[:, 0, :, None] - clip.joints[:, 1, None], axis=-1).min((1, 2))
    assert near.min() < 0.03
    bone = np.linalg.norm(clip.joints[:, :, 9] - clip.joints[:, :, 0], axis=-1)
    rest = hand_model.joints_from_vertices(hand_model.v_template).numpy()
    assert np.abs(bone - np.linalg.norm(rest[:, 9] - rest[:, 0], axis=-1)).max() < 0.004
    empty = clip.frames[0][:40, 300:340].reshape(-1, 3).mean(0)  # background
    for k in range(0, len(clip.frames), 5):
        knuckle = project_distorted(clip.joints[k, 0, [9]], clip.camera)[0].round().astype(int)
        assert np.abs(clip.frames[k][knuckle[1], knuckle[0]] - empty).max() > 40
