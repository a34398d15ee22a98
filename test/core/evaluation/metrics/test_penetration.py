"""How far hands go through each other: spheres and hands whose depth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.perfect import perfect

from lgnet_core.data.sample import HandsTruth
from lgnet_core.evaluation.comparison import compare
from lgnet_core.evaluation.image_sets import Labelled
from lgnet_core.evaluation.penetration import (
    ClosedHands,
    PenetrationScore,
    distance_to_surface,
    penetration,
    winding_number,
)
from lgnet_core.geometry.mesh_distance import surface_distance
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.types import Side


@pytest.fixture(scope="module")
def hands(hand_model) -> ClosedHands:
    return ClosedHands(hand_model)


@pytest.fixture(scope="module")
def rest(hand_model) -> torch.Tensor:
    """Both rest hands, far apart."""
    vertices = hand_model.v_template.clone()
    vertices[1, :, 0] += 1.0
    return vertices


def cube(side: float) -> torch.Tensor:
    """(12, 3, 3) outward triangles of a cube around the origin."""
    triangles = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            corners = torch.zeros(4, 3)
            corners[:, axis] = sign
            corners[:, u] = torch.tensor([-1.0, 1.0, 1.0, -1.0])
            corners[:, v] = torch.tensor([-1.0, -1.0, 1.0, 1.0])
            order = [0, 1, 2, 3] if sign > 0 else [3, 2, 1, 0]
            corners = corners[order] * side / 2
            triangles += [corners[[0, 1, 2]], corners[[0, 2, 3]]]
    return torch.stack(triangles)


def test_a_cube_winds_around_its_inside():
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) * 4 - 2
    inside = (points.abs() < 1).all(-1)
    found = winding_number(points, cube(2))
    torch.testing.assert_close(found, inside.float(), atol=1e-4, rtol=0)


def test_distance_from_a_cube():
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(1)) * 4 - 2
    outside = (points.abs() - 1).clamp_min(0).norm(dim=-1)
    inside = (1 - points.abs()).amin(-1)
    expected = torch.where((points.abs() < 1).all(-1), inside, outside)
    torch.testing.assert_close(distance_to_surface(points, cube(2)), expected, atol=1e-5, rtol=0)


def test_hands_are_closed(hands, rest):
    """Every edge of the closed hand belongs to two triangles that run along it in opposite directions."""
    for side in range(2):
        faces = hands.faces[side]
        edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
        assert len({tuple(edge) for edge in edges}) == len(edges)
        assert all([b, a] in edges for a, b in edges[::97])
        closed = hands.close(rest[side], side)[faces]
        volume = float((closed[:, 0] * torch.linalg.cross(closed[:, 1], closed[:, 2])).sum()) / 6
        assert 1e-4 < volume < 6e-4  # a hand: 100 to 600 ml, outward


def test_hands_apart_do_not_penetrate(hands, rest):
    assert penetration(rest, hands) == (0.0, 0.0)


@pytest.mark.parametrize("push", [0.002, 0.006, 0.02])
def test_the_deepest_vertex(hands, rest, push):
    """A finger tip pushed into the back of the other hand, against the module that measures distances of surfaces: each
    vertex inside, as a tiny triangle, from the other hand's surface.
    """
    right, left = rest
    tip = left[:, 1].argmax()
    back = right[(right - right.mean(0)).norm(dim=-1).argmin()]
    into = torch.nn.functional.normalize(right.mean(0) - back, dim=0)
    pushed = torch.stack([right, left - left[tip] + back + push * into])
    found = penetration(pushed, hands)
    depths, inside = [0.0], 0
    for side in Side:
        other = pushed[side.other]
        closed = hands.close(other, side.other)[hands.faces[side.other]]
        points = pushed[side][winding_number(pushed[side], closed) > 0.5]
        inside += len(points)
        for point in points:
            spot = point.numpy() + 1e-7 * np.eye(3)
            faces = hands.open[side.other].numpy()
            depths.append(surface_distance(spot, np.array([[0, 1, 2]]), other.numpy(), faces).distance)
    assert inside > 0
    assert found.depth == pytest.approx(max(depths), abs=1e-6)
    assert found.share == pytest.approx(inside / (2 * 778))


def test_a_hand_inside_itself_shifted(hands, rest):
    """The same hand twice, one moved by 1 mm: nothing is deeper than that, and about half of it is inside."""
    both = torch.stack([rest[0], rest[0] + torch.tensor([0.0, 0.001, 0.0])])
    same = ClosedHands.__new__(ClosedHands)
    same.open, same.faces = hands.open[[0, 0]], hands.faces[[0, 0]]
    same.border = [hands.border[0]] * 2
    found = penetration(both, same)
    assert 0.0005 < found.depth < 0.001 + 1e-6
    assert 0.3 < found.share < 0.7


def test_means_of_pairs(hand_model):
    """True hands as drawn, and the same hands laid over each other by a wrong relative translation."""
    batch = SyntheticHands(5, hand_model).crops(torch.arange(12), 32)
    truth = HandsTruth.of(batch, hand_model)
    said = perfect(batch, hand_model)
    wrong = said._replace(relative_translation=torch.zeros_like(said.relative_translation))
    none = torch.full((12,), -1)
    score = PenetrationScore(hand_model)
    score.update(compare(wrong, batch.wrist, batch, truth), Labelled(batch, none, truth, none, none))
    found = score.compute()
    pairs = int(batch.presence.all(1).sum())
    assert found["said"]["pairs"] == found["true"]["pairs"] == pairs > 3
    closed = ClosedHands(hand_model)
    depths = [penetration(truth.vertices[k], closed).depth * 1000 for k in range(12) if batch.presence[k].all()]
    assert found["true"]["depth_mm"] == pytest.approx(np.mean(depths), rel=1e-3, abs=1e-6)
    assert found["said"]["depth_mm"] > found["true"]["depth_mm"]
    assert found["said"]["pairs_percent"] > 50
    assert math.isnan(PenetrationScore(hand_model).compute()["said"]["depth_mm"])
    some = PenetrationScore(hand_model, every=3)
    some.update(compare(wrong, batch.wrist, batch, truth), Labelled(batch, none, truth, none, none))
    assert some.compute()["said"]["pairs"] == -(-pairs // 3)
    assert some.compute()["true"]["depth_mm"] == pytest.approx(np.mean(depths[::3]), rel=1e-3, abs=1e-6)
