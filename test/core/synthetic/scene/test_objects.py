"""Held objects, foreground occluders and background solids: placement relative to the hands, and labels."""

import pytest
import torch

from lgnet_core.data.sample import OTHER
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.interactions import SceneKind
from lgnet_core.synthetic.scene.objects import background_solids, foreground_occluders
from lgnet_core.synthetic.scene.solids import Primitive

COUNT = 192


@pytest.fixture(scope="module")
def generator(hand_model):
    return SyntheticHands(11, hand_model)


@pytest.fixture(scope="module")
def posed(generator):
    rng = CounterRng(11, torch.arange(COUNT))
    return rng, generator._sample_posed_scene(rng, torch.tensor([640.0, 480.0]).expand(COUNT, 2))


@pytest.fixture(scope="module")
def held(generator, posed):
    solids = generator._place_objects(*posed)
    return type(solids)(*(x[:, :2] for x in solids))


def depth_inside(solids, points):
    """Maximum depth (B, K) of points (B, N, 3) inside each solid, metres, 0 if all are outside."""
    offset = points[:, None] - solids.centre[:, :, None]
    local = offset @ solids.axes  # (B, K, N, 3)
    half_extents = solids.half_extents[:, :, None]
    box = (half_extents - local.abs()).amin(-1)
    radial = half_extents[..., 0] - local[..., :2].norm(dim=-1)
    cylinder = torch.minimum(radial, half_extents[..., 2] - local[..., 2].abs())
    ellipsoid = (1 - (local / half_extents).norm(dim=-1)) * half_extents.amin(-1)
    primitive = solids.primitive[..., None]
    depth = torch.where(
        primitive == Primitive.BOX, box, torch.where(primitive == Primitive.CYLINDER, cylinder, ellipsoid)
    )
    return depth.amax(-1).clamp_min(0)


def test_only_non_interacting_hands_hold_objects(posed, held):
    scene = posed[1].scene
    assert not held.present[scene.kind < SceneKind.FREE].any()
    assert not (held.present & ~scene.presence).any()
    alone = scene.presence & (scene.kind >= SceneKind.FREE)[:, None]
    assert 0.15 < held.present[alone].float().mean() < 0.35


def test_held_objects_do_not_penetrate_hands(posed, held):
    """Measured with the meshes, which the capsules that limit object sizes only approximate."""
    scene = posed[1].scene
    points = torch.where(scene.presence[..., None, None], posed[1].vertices, torch.inf).flatten(1, 2)
    depth = depth_inside(held, points.nan_to_num(posinf=9.0))[held.present]
    assert len(depth) > 20
    assert depth.mean() < 2e-3
    assert depth.amax() < 8e-3


def test_held_objects_touch_a_hand(posed, held):
    vertices = posed[1].vertices
    offset = vertices[:, :, :, None] - held.centre[:, :, None, None]
    distance = (offset.norm(dim=-1)[..., 0]).amin(-1) - held.half_extents.norm(dim=-1)
    near = distance[held.present]
    assert (near < 0.01).float().mean() > 0.9


def test_occluders_are_in_front_of_all_joints(posed):
    rng, scene = posed
    solids = foreground_occluders(rng, scene.joints, scene.scene.presence)
    present = solids.present[:, 0]
    assert 0.05 < present.float().mean() < 0.2
    farthest = (solids.centre[:, 0] + solids.half_extents[:, 0].norm(dim=-1, keepdim=True))[:, 2]
    hands = torch.where(scene.scene.presence, scene.joints[..., 2].amin(2), torch.inf).amin(1)
    assert (farthest < hands)[present].all()


def test_background_solids_are_behind_hands_and_person_is_upright():
    rng = CounterRng(2, torch.arange(400))
    camera = torch.tensor([[300.0, 0, 127.5], [0, 300, 127.5], [0, 0, 1]]).expand(400, 3, 3)
    solids = background_solids(rng, camera, 256, 256, torch.full((400,), 0.7))
    assert (solids.centre[..., 2] > 0.75).all()
    assert 0.3 < solids.present.any(1).float().mean() < 0.5
    head, body = solids.centre[:, -1], solids.centre[:, -2]
    assert torch.equal(solids.present[:, -1], solids.present[:, -2])
    assert (body[:, 1] > head[:, 1]).all(), "y points down"
    assert (solids.axes[:, -1, 1, 2] < -0.3).all(), "the long axis of the head points up"
    assert (solids.axes[:, -1, 2, 1] < 0.3).float().mean() > 0.8, "faces the camera"


def test_objects_are_segmented_and_occlude_joints(generator):
    batch = generator.crops(torch.arange(64), 96)
    shown = (batch.segmentation == OTHER).flatten(1).any(1)
    assert 0.1 < shown.float().mean() < 0.6
    joints = batch.labels(generator.hand_model).joints_2d.round().long().clamp(0, 95)
    rows = torch.arange(64)[:, None, None].expand(-1, 2, 21)
    on_object = batch.segmentation[rows, joints[..., 1], joints[..., 0]] == OTHER
    inner = [joint for joint in range(1, 21) if joint % 4]
    assert not (batch.visibility & on_object)[..., inner].float().mean() > 2e-3
