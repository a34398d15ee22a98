"""Fingers and wrists as tubes: one finger in each, the same on both hands, and moved as the hand moves."""

import pytest
import roma
import torch

from lgnet_core.synthetic.body.rings import RADIUS
from lgnet_core.synthetic.body.tubes import FINGERS, TUBES, WRIST_TUBE
from lgnet_core.types import Side


def placed(rest_hands, tubes, side, tube):
    index = (rest_hands.side == side).nonzero()[:, 0]
    hand = torch.full_like(index, int(side))
    return tubes.place(rest_hands.surface(1), index, hand, torch.full_like(index, tube))


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("tube", range(len(FINGERS)))
def test_around_its_middle_a_tube_holds_its_finger_and_no_other(rest_hands, tubes, side, tube):
    place = placed(rest_hands, tubes, side, tube)
    radius = torch.hypot(place.above, place.across)
    own = torch.isin(rest_hands.owner[place.fragment], torch.tensor([FINGERS[tube], FINGERS[tube] + 1]))
    around = place.along.abs() < 0.003
    assert (around & own).sum() > 30
    assert radius[around & own].quantile(0.98) < RADIUS, "all but a little of the web between fingers"
    assert radius[around & own].min() > 0.004
    assert own[around & (radius < RADIUS)].float().mean() > 0.9, "but for the web"


def test_right_and_left_are_mirror_images(rest_hands, tubes):
    for tube in range(TUBES):
        one, other = (placed(rest_hands, tubes, side, tube) for side in Side)
        mirrored = torch.stack([one.along.aminmax()[k] for k in (0, 1)])
        torch.testing.assert_close(mirrored, torch.stack([other.along.aminmax()[k] for k in (0, 1)]), atol=3e-3, rtol=0)
    torch.testing.assert_close(tubes.frame[1], tubes.frame[0] * torch.tensor([-1.0, 1, 1]), atol=1e-5, rtol=0)
    torch.testing.assert_close(tubes.middle[1], tubes.middle[0] * torch.tensor([-1.0, 1, 1]), atol=1e-5, rtol=0)


def test_directions_turn_with_the_mesh(rest_hands, tubes):
    turn = roma.random_rotmat(5)
    at_rest = tubes.directions(rest_hands.vertices)
    turned = rest_hands.vertices @ turn.transpose(1, 2) + torch.tensor([0.1, -0.2, 0.3])
    moved = tubes.directions(turned).view(5, -1, 3, 3)
    torch.testing.assert_close(moved, at_rest @ turn.transpose(1, 2)[:, None], atol=1e-4, rtol=0)
    identity = torch.eye(3).expand_as(at_rest)
    torch.testing.assert_close(at_rest @ at_rest.transpose(1, 2), identity, atol=1e-5, rtol=0)


def test_directions_at_rest_are_those_of_the_frames(rest_hands, tubes):
    at_rest = tubes.directions(rest_hands.vertices).view(2, TUBES, 3, 3)
    torch.testing.assert_close(at_rest[:, :WRIST_TUBE], tubes.frame[:, :WRIST_TUBE], atol=1e-3, rtol=0)
    bent = (at_rest[:, WRIST_TUBE, 0] * tubes.frame[:, WRIST_TUBE, 0]).sum(-1)
    assert (bent > 0.7).all(), "arms bend behind the wrist, by up to 40 degrees"


def test_the_wrists_tube_starts_where_the_hand_ends(rest_hands, tubes):
    for side in Side:
        place = placed(rest_hands, tubes, side, WRIST_TUBE)
        on_hand = rest_hands.owner[place.fragment] >= 0
        assert place.along[on_hand].max() < 0.004
        assert place.along[~on_hand].min() > -0.03  # a sleeve may reach over the hand
