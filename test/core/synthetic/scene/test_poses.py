"""Finger poses: within the limits, correlated as in hands, styles that mean what they say, deterministic."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.hand_model.anatomy import JOINT_LIMITS
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.scene.poses import EVERYDAY, Style, both_rotations, clamp_angles, draw_angles

KNUCKLES = [1, 4, 10, 7]  # index, middle, ring, pinky


def poses(style: Style, count: int = 500, seed: int = 0) -> torch.Tensor:
    return draw_angles(Draws(seed, torch.arange(count)), "pose", torch.full((count, 2), int(style)))


@pytest.mark.parametrize("style", list(Style))
def test_every_style_respects_the_joint_limits(style):
    angles = poses(style)
    assert angles.isfinite().all()
    assert (angles >= JOINT_LIMITS[..., 0]).all()
    assert (angles <= JOINT_LIMITS[..., 1]).all()
    assert (angles[:, :, 0] == 0).all()


def test_styles_order_by_how_far_they_close():
    closure = {style: poses(style)[:, :, KNUCKLES, 0].mean().item() for style in Style}
    assert closure[Style.OPEN] < closure[Style.RELAXED] < closure[Style.FIST]
    assert abs(closure[Style.OPEN]) < 0.15
    assert closure[Style.FIST] > 1.0


def test_neighbouring_fingers_move_together_but_not_when_independent():
    def correlation(style: Style, a: int, b: int) -> float:
        flexion = poses(style, 2000)[:, 0, :, 0]
        return torch.corrcoef(flexion[:, [KNUCKLES[a], KNUCKLES[b]]].T)[0, 1].item()

    assert correlation(Style.RELAXED, 0, 1) > 0.5
    assert correlation(Style.RELAXED, 0, 1) > correlation(Style.RELAXED, 0, 3) > 0.2
    assert correlation(Style.INDEPENDENT, 0, 3) < correlation(Style.RELAXED, 0, 3)


def test_a_pointing_hand_has_a_straight_index_and_bent_others():
    flexion = poses(Style.POINT)[:, :, KNUCKLES, 0]
    pointing = (flexion[..., 0] < 0.3) & (flexion[..., 1:].amin(-1) > 0.35)
    assert pointing.float().mean() > 0.3


@given(st.integers(0, 2**31), st.lists(st.integers(0, 2**40), min_size=2, max_size=6, unique=True))
def test_a_pose_depends_on_seed_and_index_alone(seed, indices):
    def draw(chosen: list[int]) -> torch.Tensor:
        draws = Draws(seed, torch.tensor(chosen))
        return draw_angles(draws, "pose", draws.choice("style", EVERYDAY, 2))

    assert torch.equal(draw(indices)[-1:], draw(indices[-1:]))


def test_the_hands_of_a_pair_differ():
    angles = poses(Style.RELAXED)
    assert (angles[:, 0] - angles[:, 1]).abs().amax((1, 2)).min() > 0.01


def test_rotations_are_proper_and_take_the_root():
    draws = Draws(0, torch.arange(20))
    root = draws.rotation("root", 2)
    rotations = both_rotations(poses(Style.FIST, 20), root)
    identity = torch.eye(3).expand_as(rotations)
    torch.testing.assert_close(rotations @ rotations.transpose(-1, -2), identity, atol=1e-5, rtol=0)
    assert (torch.linalg.det(rotations) > 0.99).all()
    assert torch.equal(rotations[:, :, 0], root)


def test_clamping_keeps_what_is_within():
    angles = poses(Style.RELAXED, 10)
    assert torch.equal(clamp_angles(angles), angles)
    assert (clamp_angles(angles + 10) <= JOINT_LIMITS[..., 1]).all()
