"""The bundled clip is whole, its truth lies on its pictures, and the demo measures what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stubs import StubEstimator, tile

from lgnet_core.camera import project_distorted
from lgnet_core.data.images import InputError, PictureSource
from lgnet_core.demo import BUNDLED_CLIP, Clip, measure, read_clip, run_demo, write_clip
from lgnet_core.types import Camera, Side, TwoHands


def small_clip(count: int = 3) -> Clip:
    rng = np.random.default_rng(0)
    camera = Camera(np.array([[300.0, 0, 79.5], [0, 300, 59.5], [0, 0, 1]]), 160, 120)
    frames = [np.full((120, 160, 3), 100 + 10 * k, np.uint8) for k in range(count)]
    joints = rng.normal(0, 0.03, (count, 2, 21, 3)) + np.array([0, 0, 0.5])
    return Clip(frames, camera, joints, np.ones((count, 2), bool), 10.0)


def true_hands(clip: Clip, k: int) -> TwoHands:
    sides = [tile(s, clip.joints[k, s], project_distorted(clip.joints[k, s], clip.camera)) for s in Side]
    return TwoHands(*sides, clip.joints[k, 1, 0] - clip.joints[k, 0, 0], True)


def test_clip_round_trip(tmp_path):
    clip = small_clip()
    write_clip(tmp_path / "clip.npz", clip)
    read = read_clip(tmp_path / "clip.npz")
    assert np.abs(np.stack(read.frames).astype(int) - clip.frames).max() <= 2
    np.testing.assert_allclose(read.joints, clip.joints, atol=1e-6)
    np.testing.assert_array_equal(read.camera.matrix, clip.camera.matrix)
    assert (read.camera.width, read.camera.height, read.frames_per_second) == (160, 120, 10)


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_clip_that_is_none(tmp_path, content):
    if content is not None:
        (tmp_path / "clip.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"is no demo clip .* reinstall"):
        read_clip(tmp_path / "clip.npz")


def test_bundled_clip(hand_model):
    """Small, both hands and one, interaction; bones as long as the bundled hand's; joints on the hands' pixels."""
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


def test_truth_has_no_error():
    clip = small_clip()
    scores = measure([true_hands(clip, k) for k in range(3)], clip)
    assert (scores.found, scores.missed, scores.extra) == (6, 0, 0)
    np.testing.assert_allclose([scores.error_pixels, scores.error_relative, scores.error_wrist], 0, atol=1e-9)


def test_errors_are_what_they_say():
    """The estimate shifted by 2 cm in depth: the wrists are 2 cm off, the hands themselves are right."""
    clip = small_clip()
    shifted = replace(clip, joints=clip.joints + np.array([0, 0, 0.02]))
    found = [true_hands(shifted, k) for k in range(3)]
    found[1] = replace(found[1], left=None)
    scores = measure(found, clip)
    assert (scores.found, scores.missed) == (5, 1)
    assert scores.error_wrist == pytest.approx(20)
    assert scores.error_relative == pytest.approx(0, abs=1e-9)
    assert scores.error_pixels > 0
    absent = replace(clip, presence=np.zeros((3, 2), bool))
    scores = measure(found, absent)
    assert (scores.found, scores.missed, scores.extra) == (0, 0, 5)
    assert np.isnan(scores.error_pixels)


def test_demo_writes_what_it_names(tmp_path):
    clip = small_clip()
    summary = run_demo(StubEstimator(), tmp_path / "a" / "demo", clip)
    assert summary.frames == 3
    assert (summary.scores.found, summary.scores.missed) == (3, 3)
    assert summary.frames_per_second > 0
    for path in (summary.sheet, summary.view):
        assert path.read_bytes().startswith(b"\x89PNG")
    assert len(list((summary.folder / "frames").glob("*.png"))) == 3
    assert len(list(PictureSource(summary.folder / "overlay.mp4"))) == 3
    assert (summary.folder / "view_3d_left.ply").exists()
    run_demo(StubEstimator(), tmp_path / "a" / "demo", clip)  # again, over the old files
