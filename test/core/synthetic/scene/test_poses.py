"""Pose prior: joint limits, correlations between fingers, styles, determinism."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.hand_model.anatomy import JOINT_LIMITS
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.poses import (
    DEFAULT_STYLE_WEIGHTS,
    PoseStyle,
    clamp_angles,
    joint_rotations,
    sample_joint_angles,
)

LIMITS = torch.from_numpy(JOINT_LIMITS).float()
KNUCKLES = [1, 4, 10, 7]  # index, middle, ring, pinky


def poses(style: PoseStyle, count: int = 500, seed: int = 0) -> torch.Tensor:
    return sample_joint_angles(CounterRng(seed, torch.arange(count)), "pose", torch.full((count, 2), int(style)))


@pytest.mark.parametrize("style", list(PoseStyle))
def test_styles_respect_joint_limits(style):
    angles = poses(style)
    assert angles.isfinite().all()
    assert (angles >= LIMITS[..., 0]).all()
    assert (angles <= LIMITS[..., 1]).all()
    assert (angles[:, :, 0] == 0).all()


def test_finger_closure_increases_from_open_to_fist():
    closure = {style: poses(style)[:, :, KNUCKLES, 0].mean().item() for style in PoseStyle}
    assert closure[PoseStyle.OPEN] < closure[PoseStyle.RELAXED] < closure[PoseStyle.FIST]
    assert abs(closure[PoseStyle.OPEN]) < 0.15
    assert closure[PoseStyle.FIST] > 1.0


def test_neighbouring_fingers_are_correlated_unless_independent():
    def correlation(style: PoseStyle, a: int, b: int) -> float:
        flexion = poses(style, 2000)[:, 0, :, 0]
        return torch.corrcoef(flexion[:, [KNUCKLES[a], KNUCKLES[b]]].T)[0, 1].item()

    assert correlation(PoseStyle.RELAXED, 0, 1) > 0.5
    assert correlation(PoseStyle.RELAXED, 0, 1) > correlation(PoseStyle.RELAXED, 0, 3) > 0.2
    assert correlation(PoseStyle.INDEPENDENT, 0, 3) < correlation(PoseStyle.RELAXED, 0, 3)


def test_pointing_hand_has_extended_index_and_flexed_other_fingers():
    flexion = poses(PoseStyle.POINT)[:, :, KNUCKLES, 0]
    pointing = (flexion[..., 0] < 0.3) & (flexion[..., 1:].amin(-1) > 0.35)
    assert pointing.float().mean() > 0.3


def test_signs_have_extended_and_curled_fingers_but_hardly_any_in_between():
    """Flexion of a finger's three joints together: straight below 60 degrees, in the palm above 180."""
    angles = poses(PoseStyle.SIGN)
    flexion = torch.stack([angles[:, :, k : k + 3, 0].sum(-1) for k in KNUCKLES], -1).rad2deg()
    extended, curled = (flexion < 60).float().mean(), (flexion > 180).float().mean()
    assert 0.3 < extended < 0.5
    assert 0.5 < curled < 0.7
    assert extended + curled > 0.95
    patterns = {tuple(row) for row in (flexion.flatten(0, 1) > 120).tolist()}
    assert len(patterns) == 2**4, "fingers are curled independently"


@given(st.integers(0, 2**31), st.lists(st.integers(0, 2**40), min_size=2, max_size=6, unique=True))
def test_pose_depends_only_on_seed_and_index(seed, indices):
    def draw(chosen: list[int]) -> torch.Tensor:
        rng = CounterRng(seed, torch.tensor(chosen))
        return sample_joint_angles(rng, "pose", rng.choice("style", DEFAULT_STYLE_WEIGHTS, 2))

    assert torch.equal(draw(indices)[-1:], draw(indices[-1:]))


def test_poses_of_both_hands_differ():
    angles = poses(PoseStyle.RELAXED)
    assert (angles[:, 0] - angles[:, 1]).abs().amax((1, 2)).min() > 0.01


def test_joint_rotations_are_proper_and_use_root_rotation():
    rng = CounterRng(0, torch.arange(20))
    root = rng.rotation("root", 2)
    rotations = joint_rotations(poses(PoseStyle.FIST, 20), root)
    identity = torch.eye(3).expand_as(rotations)
    torch.testing.assert_close(rotations @ rotations.transpose(-1, -2), identity, atol=1e-5, rtol=0)
    assert (torch.linalg.det(rotations) > 0.99).all()
    assert torch.equal(rotations[:, :, 0], root)


def test_clamping_keeps_valid_angles():
    angles = poses(PoseStyle.RELAXED, 10)
    assert torch.equal(clamp_angles(angles), angles)
    assert (clamp_angles(angles + 10) <= LIMITS[..., 1]).all()
