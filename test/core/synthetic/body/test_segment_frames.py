"""Segment frames: contained fingers, symmetry, and motion with the mesh."""

import pytest
import roma
import torch

from lgnet_core.synthetic.body.rings import RADIUS
from lgnet_core.synthetic.body.segment_frames import RING_JOINTS, SEGMENT_COUNT, WRIST_SEGMENT
from lgnet_core.types import Side


def segment_coordinates(rest_hands, segment_frames, side, segment):
    index = (rest_hands.side == side).nonzero()[:, 0]
    hand = torch.full_like(index, int(side))
    return segment_frames.coordinates(rest_hands.surface(1), index, hand, torch.full_like(index, segment))


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("segment", range(len(RING_JOINTS)))
def test_segment_contains_only_its_finger(rest_hands, segment_frames, side, segment):
    coordinates = segment_coordinates(rest_hands, segment_frames, side, segment)
    radius = torch.hypot(coordinates.above, coordinates.across)
    own = torch.isin(
        rest_hands.owner[coordinates.fragment], torch.tensor([RING_JOINTS[segment], RING_JOINTS[segment] + 1])
    )
    around = coordinates.along.abs() < 0.003
    assert (around & own).sum() > 30
    assert radius[around & own].quantile(0.98) < RADIUS, "except for the web between fingers"
    assert radius[around & own].min() > 0.004
    assert own[around & (radius < RADIUS)].float().mean() > 0.9, "except for the web"


def test_left_frames_mirror_right_frames(rest_hands, segment_frames):
    for segment in range(SEGMENT_COUNT):
        one, other = (segment_coordinates(rest_hands, segment_frames, side, segment) for side in Side)
        mirrored = torch.stack([one.along.aminmax()[k] for k in (0, 1)])
        torch.testing.assert_close(mirrored, torch.stack([other.along.aminmax()[k] for k in (0, 1)]), atol=3e-3, rtol=0)
    torch.testing.assert_close(
        segment_frames.frame[1], segment_frames.frame[0] * torch.tensor([-1.0, 1, 1]), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        segment_frames.middle[1], segment_frames.middle[0] * torch.tensor([-1.0, 1, 1]), atol=1e-5, rtol=0
    )


def test_axes_rotate_with_mesh(rest_hands, segment_frames):
    turn = roma.random_rotmat(5)
    at_rest = segment_frames.axes(rest_hands.vertices)
    rotated = rest_hands.vertices @ turn.transpose(1, 2) + torch.tensor([0.1, -0.2, 0.3])
    moved = segment_frames.axes(rotated).view(5, -1, 3, 3)
    torch.testing.assert_close(moved, at_rest @ turn.transpose(1, 2)[:, None], atol=1e-4, rtol=0)
    identity = torch.eye(3).expand_as(at_rest)
    torch.testing.assert_close(at_rest @ at_rest.transpose(1, 2), identity, atol=1e-5, rtol=0)


def test_axes_at_rest_match_frames(rest_hands, segment_frames):
    at_rest = segment_frames.axes(rest_hands.vertices).view(2, SEGMENT_COUNT, 3, 3)
    torch.testing.assert_close(at_rest[:, :WRIST_SEGMENT], segment_frames.frame[:, :WRIST_SEGMENT], atol=1e-3, rtol=0)
    bent = (at_rest[:, WRIST_SEGMENT, 0] * segment_frames.frame[:, WRIST_SEGMENT, 0]).sum(-1)
    assert (bent > 0.7).all(), "arms bend at the wrist, by up to 40 degrees"


def test_wrist_segment_starts_at_end_of_hand(rest_hands, segment_frames):
    for side in Side:
        coordinates = segment_coordinates(rest_hands, segment_frames, side, WRIST_SEGMENT)
        on_hand = rest_hands.owner[coordinates.fragment] >= 0
        assert coordinates.along[on_hand].max() < 0.004
        assert coordinates.along[~on_hand].min() > -0.03  # a sleeve may reach over the hand
