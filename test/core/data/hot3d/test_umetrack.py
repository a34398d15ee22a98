"""UmeTrack hands against turning each landmark about each hinge in turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.dotted_views import look_at
from support.synthetic_hot3d import KNOWN, openpose_joints, write_user_profile

from lgnet_core.data.hot3d.umetrack import KNOWN_JOINTS, LANDMARKS, UmeTrackHand
from lgnet_core.io.files import InputError
from lgnet_core.types import Side

PATH = Path("clip-000000.tar")


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("seed", [0, 1])
def test_joints_of_bent_fingers(side, seed):
    rng = np.random.default_rng(seed)
    profile, angles = write_user_profile(), rng.uniform(-0.5, 1.2, 22)
    wrist = look_at(rng.normal(size=3), rng.normal(size=3), roll=0.4)
    joints = UmeTrackHand.from_json(profile, PATH, "HOT3D").joints(angles, wrist, side)
    np.testing.assert_allclose(joints, openpose_joints(profile, angles, wrist, side), atol=1e-12)


def test_flat_hand_is_the_rest_pose_and_the_right_one_its_mirror_image():
    hand = UmeTrackHand.from_json(write_user_profile(), PATH, "HOT3D")
    left, right = (hand.joints(np.zeros(20), np.eye(4), side) for side in (Side.LEFT, Side.RIGHT))
    np.testing.assert_allclose(left[KNOWN_JOINTS], hand.landmarks[[LANDMARKS[name] for name in order()]], atol=1e-12)
    np.testing.assert_allclose(right, left * [-1, 1, 1], atol=1e-12)


def order() -> list[str]:
    fingers = ("thumb", "index", "middle", "ring", "pinky")
    return ["wrist", *(f"{f}_{k}" for f in fingers for k in (1, 2, 3, 4) if (f, k) != ("thumb", 1))]


def test_only_the_first_joint_of_the_thumb_is_unknown():
    assert np.flatnonzero(KNOWN_JOINTS).tolist() == KNOWN


@pytest.mark.parametrize(
    "change",
    [
        lambda profile: profile.pop("joint_rotation_axes"),
        lambda profile: profile.__setitem__("joint_rest_positions", profile["joint_rest_positions"][:12]),
        lambda profile: profile["landmark_rest_bone_indices"].__setitem__(0, [99, 1]),
        lambda profile: profile["landmark_rest_bone_weights"].pop(),
        lambda profile: profile.__setitem__("landmark_rest_positions", "none"),
    ],
)
def test_other_profiles_are_rejected(change):
    profile = write_user_profile()
    change(profile)
    with pytest.raises(InputError, match=r"clip-000000\.tar: truncated, or not a file of HOT3D"):
        UmeTrackHand.from_json(profile, PATH, "HOT3D")
