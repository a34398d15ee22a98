"""Scene sampling: geometry of each kind of interaction, penetration, plausible arms, determinism."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.capsules import CapsuleHandModel
from lgnet_core.synthetic.scene.interactions import (
    SCENE_KIND_WEIGHTS,
    Scene,
    SceneKind,
    forearm_directions,
    sample_scene,
)

COUNT = 24
COUPLED = [SceneKind.PALM_TO_PALM, SceneKind.CROSSED, SceneKind.INTERLACED, SceneKind.HOLDING]


@pytest.fixture(scope="module")
def hands(hand_model):
    return CapsuleHandModel(hand_model)


@pytest.fixture(scope="module")
def scenes(hands):
    return {
        kind: sample_scene(CounterRng(2, torch.arange(COUNT)), hands, torch.full((COUNT,), int(kind)))
        for kind in SceneKind
    }


def vertices(hand_model, scene: Scene) -> Tensor:
    return hand_model(scene.rotations, scene.shape).wrist_relative().vertices + scene.wrist[:, :, None]


def winding_number(points: Tensor, triangles: Tensor) -> Tensor:
    """Winding number, 1 inside and 0 outside of a surface, from solid angles (van Oosterom and Strackee 1983)."""
    a, b, c = (triangles[None] - points[:, None, None]).unbind(2)  # (P, F, 3)
    la, lb, lc = a.norm(dim=-1), b.norm(dim=-1), c.norm(dim=-1)
    volume = (a * torch.linalg.cross(b, c)).sum(-1)
    rest = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return torch.atan2(volume, rest).sum(-1) / (2 * math.pi)


def distance_to_triangles(points: Tensor, triangles: Tensor) -> Tensor:
    """Distances (P,) to the nearest triangle: to its plane if the projection is inside, else to its edges."""
    corners = triangles.roll(-1, 1) - triangles  # the edges
    out = points[:, None, None] - triangles  # (P, F, 3, 3)
    t = ((out * corners).sum(-1) / (corners**2).sum(-1)).clamp(0, 1)
    to_edges = (out - t[..., None] * corners).norm(dim=-1).amin(-1)
    normal = torch.nn.functional.normalize(torch.linalg.cross(corners[:, 0], corners[:, 1]), dim=-1)
    within = ((torch.linalg.cross(corners.expand_as(out), out) * normal[:, None]).sum(-1) >= 0).all(-1)
    to_plane = (out[:, :, 0] * normal).sum(-1).abs()
    return torch.where(within, to_plane, to_edges).amin(1)


def depth_inside(points: Tensor, mesh: Tensor, faces: Tensor) -> float:
    """Maximum penetration depth of points into a mesh, metres."""
    near = ((points > mesh.amin(0)) & (points < mesh.amax(0))).all(-1)
    points = points[near]
    points = points[winding_number(points, mesh[faces]) > 0.5]
    return distance_to_triangles(points, mesh[faces]).max().item() if len(points) else 0.0


def test_winding_number_separates_inside_from_outside(hand_model):
    mesh, faces = hand_model.v_template[0], hand_model.faces[0]
    inside = hand_model.rest_joints[0, 1:]
    assert (winding_number(inside, mesh[faces]) > 0.8).all()
    assert (winding_number(inside + torch.tensor([0, 0.1, 0]), mesh[faces]).abs() < 0.1).all()
    assert 0.002 < depth_inside(inside, mesh, faces) < 0.02


def test_hands_do_not_penetrate_each_other(hand_model, scenes):
    """Penetration of mesh vertices, not of capsules, into the mesh of the other hand."""
    depths = []
    for kind in [*COUPLED, SceneKind.FREE]:
        for right, left in vertices(hand_model, scenes[kind])[:10]:
            depths.append(
                max(
                    depth_inside(right, left, hand_model.faces[1]),
                    depth_inside(left, right, hand_model.faces[0]),
                )
            )
    depths = torch.tensor(depths)
    assert (depths > 3e-3).float().mean() < 0.1
    assert depths.mean() < 0.7e-3


@pytest.mark.parametrize("kind", COUPLED)
def test_interacting_hands_are_close_and_often_touch(hand_model, scenes, kind):
    right, left = vertices(hand_model, scenes[kind]).unbind(1)
    gap = torch.cdist(right, left).amin((1, 2))
    assert gap.max() < 0.16
    assert (gap < 0.008).float().mean() > 0.25


def test_palms_face_each_other(hands, scenes):
    scene = scenes[SceneKind.PALM_TO_PALM]
    axes = scene.rotations[:, :, 0] @ hands.frames
    assert (axes[:, 0, :, 2] * axes[:, 1, :, 2]).sum(-1).median() < -0.9
    between = scene.wrist[:, 1] - scene.wrist[:, 0]
    assert ((axes[:, 0, :, 2] * between).sum(-1) > -0.03).all()  # the left hand is on the palmar side of the right hand


def test_fingers_interlace(hands, scenes):
    """Right and left fingers alternate along the row of fingers of the right hand."""
    scene = scenes[SceneKind.INTERLACED]
    points = hands.pose(scene.rotations, scene.shape).points + scene.wrist[:, :, None]
    across = (scene.rotations[:, 0, 0] @ hands.frames[0])[..., 1]  # (B, 3)
    positions = (points[:, :, [6, 10, 14, 18]] @ across[:, None, :, None])[..., 0]  # (B, 2, 4)
    owner = positions.flatten(1).argsort(1) >= 4
    changes = (owner[:, 1:] != owner[:, :-1]).sum(1)
    assert changes.float().mean() > 4  # of 7


def test_separate_hands_are_apart_and_mostly_on_their_own_side(hand_model, scenes):
    scene = scenes[SceneKind.SEPARATE]
    right, left = vertices(hand_model, scene).unbind(1)
    assert (right.mean(1) - left.mean(1)).norm(dim=-1).min() > 0.08
    assert (left.mean(1) - right.mean(1))[:, 0].lt(0).float().mean() > 0.6


def test_presence_matches_scene_kind(scenes):
    expected = {
        SceneKind.SINGLE_RIGHT: [True, False],
        SceneKind.SINGLE_LEFT: [False, True],
        SceneKind.NONE: [False, False],
    }
    for kind, scene in scenes.items():
        assert scene.presence.tolist() == [expected.get(kind, [True, True])] * COUNT


def test_scene_kinds_follow_weights(hands):
    assert sum(SCENE_KIND_WEIGHTS) == pytest.approx(1)
    kind = CounterRng(0, torch.arange(20000)).choice("kind", SCENE_KIND_WEIGHTS)
    frequencies = torch.bincount(kind, minlength=len(SceneKind)) / len(kind)
    assert_close(frequencies, torch.tensor(SCENE_KIND_WEIGHTS), atol=0.01, rtol=0)
    assert frequencies[:5].sum() == pytest.approx(0.45, abs=0.01)


def test_plausible_forearms_point_backwards(hands):
    """In plausible scenes elbows are behind the wrists, and right elbows are to the right of left ones."""
    count = 200
    scene = sample_scene(CounterRng(3, torch.arange(count)), hands, torch.full((count,), int(SceneKind.SEPARATE)))
    arms = forearm_directions(hands, scene.rotations)
    assert_close(arms.norm(dim=-1), torch.ones(count, 2))
    mean = arms[scene.plausible].mean(0)
    assert (mean[:, 2] > 0.3).all()
    assert mean[0, 0] > mean[1, 0] + 0.2
    random_mean = arms[~scene.plausible].mean(0)
    assert random_mean.norm(dim=-1).max() < 0.25


def test_scene_is_independent_of_batch(hands):
    whole = sample_scene(CounterRng(7, torch.arange(40)), hands)
    some = torch.tensor([3, 31, 12])
    part = sample_scene(CounterRng(7, some), hands)
    for name, a, b in zip(Scene._fields, whole, part, strict=True):
        assert_close(a[some].double(), b.double(), atol=1e-5, rtol=0, msg=name)
    other = sample_scene(CounterRng(8, some), hands)
    assert (other.wrist - part.wrist).abs().max() > 1e-3


def test_both_hands_have_similar_shapes(scenes):
    shape = torch.cat([scene.shape for scene in scenes.values()])
    assert shape.abs().max() <= 2.5
    assert (shape[:, 0] - shape[:, 1]).abs().mean() < 0.25
    assert shape.std() > 0.8
