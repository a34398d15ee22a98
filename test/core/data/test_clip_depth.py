"""Depth maps of the demo clip: in front of the joints, on the hands' pixels, and a better size for the hands."""

from __future__ import annotations

import numpy as np

from lgnet_core.data.clip import read_clip
from lgnet_core.data.clip_depth import PALM_RADIUS, WALL, clip_depth, hand_depth
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.inference import HandEstimator
from lgnet_core.types import Camera, DepthMap

CAMERA = Camera(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), 640, 480)


def flat(z: float) -> np.ndarray:
    """Joints (21, 3) of five straight fingers in a plane that faces the camera, metres."""
    fingers = [[(0.02 * (finger - 2), -0.03 * k, z) for k in (1, 2, 3, 4)] for finger in range(5)]
    return np.array([(0, 0, z), *np.concatenate(fingers)])


def test_surface_is_in_front_of_the_joints():
    depth = hand_depth(flat(0.5)[None], CAMERA)
    x, y = np.rint(project_distorted(flat(0.5), CAMERA)).astype(int).T
    height = 0.5 - depth[y, x]
    assert ((height > 0.006) & (height <= PALM_RADIUS)).all()
    assert (depth == WALL).mean() > 0.9


def test_the_nearer_hand_hides_the_other():
    both = hand_depth(np.stack([flat(0.4), flat(0.6)]), CAMERA)
    near, far = hand_depth(flat(0.4)[None], CAMERA), hand_depth(flat(0.6)[None], CAMERA)
    np.testing.assert_array_equal(both, np.minimum(near, far))
    assert (hand_depth(np.zeros((0, 21, 3)), CAMERA) == WALL).all()


def test_hands_of_the_clip_are_placed_better_with_it():
    clip = read_clip()
    maps = clip_depth(clip)
    estimator = HandEstimator.load(device="cpu")
    errors: dict[bool, list[float]] = {True: [], False: []}
    for k in range(0, len(clip.frames), 5):
        for with_depth, found in errors.items():
            hands = estimator.estimate(clip.frames[k], clip.camera, DepthMap(maps[k]) if with_depth else None)
            true = clip.joints[k][:, 0, 2]
            found += [abs(hand.joints[0, 2] / true[hand.side] - 1) for hand in hands.hands]
    assert len(errors[True]) == len(errors[False]) > 8
    assert np.mean(errors[True]) < 0.03
    assert np.mean(errors[True]) < 0.6 * np.mean(errors[False])
