"""Interpenetration of cubes and hands with known depth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import trimesh
from support.oracle_network import perfect_prediction

from lgnet_core.data.sample import HandsGroundTruth
from lgnet_core.evaluation.comparison import compare
from lgnet_core.evaluation.datasets.base import LabelledImages
from lgnet_core.evaluation.metrics.penetration import (
    ClosedHands,
    PenetrationScore,
    distance_to_surface,
    intersection_volume,
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
def rest_hands(hand_model) -> torch.Tensor:
    """Both hands at rest, far apart."""
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


def test_winding_number_of_cube():
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) * 4 - 2
    inside = (points.abs() < 1).all(-1)
    result = winding_number(points, cube(2))
    torch.testing.assert_close(result, inside.float(), atol=1e-4, rtol=0)


def test_distance_to_cube():
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(1)) * 4 - 2
    outside = (points.abs() - 1).clamp_min(0).norm(dim=-1)
    inside = (1 - points.abs()).amin(-1)
    expected = torch.where((points.abs() < 1).all(-1), inside, outside)
    torch.testing.assert_close(distance_to_surface(points, cube(2)), expected, atol=1e-5, rtol=0)


def sphere(radius: float, centre: tuple[float, float, float]) -> torch.Tensor:
    """(F, 3, 3) outward triangles of a sphere."""
    mesh = trimesh.creation.icosphere(3, radius)
    return torch.from_numpy(np.array(mesh.triangles)).float() + torch.tensor(centre)


def box_of(*surfaces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    points = torch.cat([surface.flatten(0, 1) for surface in surfaces])
    return points.amin(0), points.amax(0)


def test_intersection_volume_of_cubes():
    """Two cubes of side 2, displaced by (0.5, 0.8, 1.1): 1.5 x 1.2 x 0.9."""
    other = cube(2) + torch.tensor([0.5, 0.8, 1.1])
    low, high = torch.tensor([-0.5, -0.2, 0]), torch.tensor([1.0, 1, 0])  # the box of the intersection
    assert intersection_volume(cube(2), other, low, high) == pytest.approx(1.5 * 1.2 * 0.9, rel=1e-6)
    apart = cube(2) + torch.tensor([0, 0, 2.5])
    assert intersection_volume(cube(2), apart, *box_of(cube(2), apart)) == 0


def test_intersection_volume_of_spheres():
    """The lens of two unit spheres at a distance d: pi (4 + d) (2 - d)^2 / 12; inscribed polyhedra are smaller."""
    distance = 1.2
    spheres = sphere(1, (0, 0, 0)), sphere(1, (0.6 * distance, 0, 0.8 * distance))
    lens = math.pi * (4 + distance) * (2 - distance) ** 2 / 12
    assert intersection_volume(*spheres, *box_of(*spheres)) == pytest.approx(lens, rel=0.03)
    inner = sphere(0.3, (0.1, 0.2, -0.1))
    assert intersection_volume(spheres[0], inner, *box_of(inner)) == pytest.approx(4 / 3 * math.pi * 0.027, rel=0.02)


def test_surfaces_that_overlap_themselves_count_once():
    twice = torch.cat([cube(2), cube(2) + torch.tensor([0.3, 0, 0.4])])
    inner = cube(1) + torch.tensor([0.1, 0.05, 0.1])
    assert intersection_volume(twice, inner, *box_of(inner)) == pytest.approx(1, rel=1e-6)


def test_volume_of_a_fingertip_in_the_other_hand(hands, rest_hands):
    """Compared with points spread over the region and tested by their winding numbers."""
    right, left = rest_hands
    tip = left[:, 1].argmax()
    centre = right[(right - right.mean(0)).norm(dim=-1).argmin()]
    direction = torch.nn.functional.normalize(right.mean(0) - centre, dim=0)
    both = torch.stack([right, left - left[tip] + centre + 0.015 * direction])
    result = penetration(both, hands)
    closed = [hands.close(both[side], side)[hands.faces[side]] for side in Side]
    low, high = both[1].amin(0).maximum(right.amin(0)), both[1].amax(0).minimum(right.amax(0))
    points = low + (high - low) * torch.rand(2500, 3, generator=torch.Generator().manual_seed(2))
    for surface in closed:
        points = points[torch.cat([winding_number(p, surface) > 0.5 for p in points.split(256)])]
    expected = len(points) / 2500 * float((high - low).prod())
    assert len(points) > 100
    assert result.volume == pytest.approx(expected, rel=3 / math.sqrt(len(points)))


def test_closed_hands_are_watertight(hands, rest_hands):
    """Every edge belongs to two triangles with opposite directions; normals point outward."""
    for side in range(2):
        faces = hands.faces[side]
        edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
        assert len({tuple(edge) for edge in edges}) == len(edges)
        assert all([b, a] in edges for a, b in edges[::97])
        closed = hands.close(rest_hands[side], side)[faces]
        volume = float((closed[:, 0] * torch.linalg.cross(closed[:, 1], closed[:, 2])).sum()) / 6
        assert 1e-4 < volume < 6e-4  # 100 to 600 ml, positive for outward faces


def test_separate_hands_do_not_penetrate(hands, rest_hands):
    assert penetration(rest_hands, hands) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("depth", [0.002, 0.006, 0.02])
def test_maximum_depth_of_fingertip(hands, rest_hands, depth):
    """A fingertip inside the other hand, compared with the surface distance of each inner vertex as a tiny triangle."""
    right, left = rest_hands
    tip = left[:, 1].argmax()
    centre = right[(right - right.mean(0)).norm(dim=-1).argmin()]
    direction = torch.nn.functional.normalize(right.mean(0) - centre, dim=0)
    penetrating = torch.stack([right, left - left[tip] + centre + depth * direction])
    result = penetration(penetrating, hands)
    depths, inside = [0.0], 0
    for side in Side:
        other = penetrating[side.other]
        closed = hands.close(other, side.other)[hands.faces[side.other]]
        points = penetrating[side][winding_number(penetrating[side], closed) > 0.5]
        inside += len(points)
        for point in points:
            tiny_triangle = point.numpy() + 1e-7 * np.eye(3)
            faces = hands.open[side.other].numpy()
            depths.append(surface_distance(tiny_triangle, np.array([[0, 1, 2]]), other.numpy(), faces).distance)
    assert inside > 0
    assert result.depth == pytest.approx(max(depths), abs=1e-6)
    assert result.fraction == pytest.approx(inside / (2 * 778))


def test_hand_inside_its_shifted_copy(hands, rest_hands):
    """Two copies of a hand 1 mm apart: the depth is at most that, and about half of the vertices are inside."""
    both = torch.stack([rest_hands[0], rest_hands[0] + torch.tensor([0.0, 0.001, 0.0])])
    same_hand = ClosedHands.__new__(ClosedHands)
    same_hand.open, same_hand.faces = hands.open[[0, 0]], hands.faces[[0, 0]]
    same_hand.boundary = [hands.boundary[0]] * 2
    result = penetration(both, same_hand)
    assert 0.0005 < result.depth < 0.001 + 1e-6
    assert 0.3 < result.fraction < 0.7


def test_means_of_pairs(hand_model):
    """True hands, and the same hands overlapping due to a wrong relative translation."""
    batch = SyntheticHands(5, hand_model).crops(torch.arange(12), 32)
    truth = HandsGroundTruth.of(batch, hand_model)
    predicted = perfect_prediction(batch, hand_model)
    shifted = predicted._replace(relative_translation=torch.zeros_like(predicted.relative_translation))
    none = torch.full((12,), -1)
    score = PenetrationScore(hand_model)
    score.update(compare(shifted, batch.wrist, batch, truth), LabelledImages(batch, none, truth, none, none))
    result = score.compute()
    pairs = int(batch.presence.all(1).sum())
    assert result["predicted"]["pairs"] == result["true"]["pairs"] == pairs > 3
    closed = ClosedHands(hand_model)
    expected = [penetration(truth.vertices[k], closed) for k in range(12) if batch.presence[k].all()]
    depths = [1000 * pair.depth for pair in expected]
    assert result["true"]["depth_mm"] == pytest.approx(np.mean(depths), rel=1e-3, abs=1e-6)
    assert result["predicted"]["depth_mm"] > result["true"]["depth_mm"]
    volume = np.mean([1e6 * pair.volume for pair in expected])
    assert result["true"]["volume_cm3"] == pytest.approx(volume, rel=1e-2, abs=1e-5)
    assert result["predicted"]["volume_cm3"] > result["true"]["volume_cm3"]
    assert result["predicted"]["pairs_percent"] > 50
    assert math.isnan(PenetrationScore(hand_model).compute()["predicted"]["depth_mm"])
    subsampled = PenetrationScore(hand_model, every=3)
    subsampled.update(compare(shifted, batch.wrist, batch, truth), LabelledImages(batch, none, truth, none, none))
    assert subsampled.compute()["predicted"]["pairs"] == -(-pairs // 3)
    assert subsampled.compute()["true"]["depth_mm"] == pytest.approx(np.mean(depths[::3]), rel=1e-3, abs=1e-6)
