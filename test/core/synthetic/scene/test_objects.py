"""Held things touch hands and lie in none; what hides is in front, what furnishes is behind."""

import pytest
import torch

from lgnet_core.data.sample import OTHER
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.scene.interactions import Kind
from lgnet_core.synthetic.scene.objects import things_behind, things_in_front
from lgnet_core.synthetic.scene.solids import Form

COUNT = 192


@pytest.fixture(scope="module")
def generator(hand_model):
    return SyntheticHands(11, hand_model)


@pytest.fixture(scope="module")
def posed(generator):
    draws = Draws(11, torch.arange(COUNT))
    return draws, generator._pose(draws, torch.tensor([640.0, 480.0]).expand(COUNT, 2))


@pytest.fixture(scope="module")
def held(generator, posed):
    solids = generator._things(*posed)
    return type(solids)(*(x[:, :2] for x in solids))


def depth_inside(solids, points):
    """How deep points (B, N, 3) lie in each solid (B, K), metres, at most: 0 for those outside."""
    offset = points[:, None] - solids.centre[:, :, None]
    local = offset @ solids.axes  # (B, K, N, 3)
    half = solids.half[:, :, None]
    box = (half - local.abs()).amin(-1)
    radial = half[..., 0] - local[..., :2].norm(dim=-1)
    cylinder = torch.minimum(radial, half[..., 2] - local[..., 2].abs())
    ellipsoid = (1 - (local / half).norm(dim=-1)) * half.amin(-1)
    form = solids.form[..., None]
    depth = torch.where(form == Form.BOX, box, torch.where(form == Form.CYLINDER, cylinder, ellipsoid))
    return depth.amax(-1).clamp_min(0)


def test_hands_that_meet_hold_nothing_and_some_others_do(posed, held):
    scene = posed[1].scene
    assert not held.there[scene.kind < Kind.FREE].any()
    assert not (held.there & ~scene.presence).any()
    alone = scene.presence & (scene.kind >= Kind.FREE)[:, None]
    assert 0.15 < held.there[alone].float().mean() < 0.35


def test_held_things_lie_in_no_hand(posed, held):
    """Measured against the meshes; the capsules that limit a thing's size are not quite the hand."""
    scene = posed[1].scene
    points = torch.where(scene.presence[..., None, None], posed[1].vertices, torch.inf).flatten(1, 2)
    depth = depth_inside(held, points.nan_to_num(posinf=9.0))[held.there]
    assert len(depth) > 20
    assert depth.mean() < 2e-3
    assert depth.amax() < 8e-3


def test_held_things_touch_a_hand(posed, held):
    vertices = posed[1].vertices
    offset = vertices[:, :, :, None] - held.centre[:, :, None, None]
    distance = (offset.norm(dim=-1)[..., 0]).amin(-1) - held.half.norm(dim=-1)
    near = distance[held.there]
    assert (near < 0.01).float().mean() > 0.9


def test_what_hides_is_nearer_than_every_joint(posed):
    draws, scene = posed
    solids = things_in_front(draws, scene.joints, scene.scene.presence)
    there = solids.there[:, 0]
    assert 0.05 < there.float().mean() < 0.2
    farthest = (solids.centre[:, 0] + solids.half[:, 0].norm(dim=-1, keepdim=True))[:, 2]
    hands = torch.where(scene.scene.presence, scene.joints[..., 2].amin(2), torch.inf).amin(1)
    assert (farthest < hands)[there].all()


def test_the_scene_stands_behind_and_upright():
    draws = Draws(2, torch.arange(400))
    camera = torch.tensor([[300.0, 0, 127.5], [0, 300, 127.5], [0, 0, 1]]).expand(400, 3, 3)
    solids = things_behind(draws, camera, 256, 256, torch.full((400,), 0.7))
    assert (solids.centre[..., 2] > 0.75).all()
    assert 0.3 < solids.there.any(1).float().mean() < 0.5
    head, body = solids.centre[:, -1], solids.centre[:, -2]
    assert torch.equal(solids.there[:, -1], solids.there[:, -2])
    assert (body[:, 1] > head[:, 1]).all(), "y points down"
    assert (solids.axes[:, -1, 1, 2] < -0.3).all(), "the head's long axis points up"
    assert (solids.axes[:, -1, 2, 1] < 0.3).float().mean() > 0.8, "it looks at the camera rather than away"


def test_things_are_labelled_and_hide_joints(generator):
    batch = generator.crops(torch.arange(64), 96)
    shown = (batch.segmentation == OTHER).flatten(1).any(1)
    assert 0.1 < shown.float().mean() < 0.6
    joints = batch.labels(generator.hand_model).joints_2d.round().long().clamp(0, 95)
    rows = torch.arange(64)[:, None, None].expand(-1, 2, 21)
    on_thing = batch.segmentation[rows, joints[..., 1], joints[..., 0]] == OTHER
    inner = [joint for joint in range(1, 21) if joint % 4]
    assert not (batch.visibility & on_thing)[..., inner].float().mean() > 2e-3
