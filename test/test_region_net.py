"""The detector network: what a map says as boxes, and what its loss wants."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lgnet_core.camera import grid_to_pixels
from lgnet_core.network.region_net import (
    REGION_IMAGE_SIZE,
    STRIDE,
    RegionMaps,
    RegionNet,
    decode_regions,
    region_loss,
)

GRID = REGION_IMAGE_SIZE // STRIDE


def perfect_maps(boxes: Tensor, presence: Tensor) -> RegionMaps:
    """Maps that say exactly ``boxes`` (1, 2, 4), from the cell nearest each centre."""
    logits = torch.full((1, 2, GRID, GRID), -12.0)
    distances = torch.zeros(1, 2, 4, GRID, GRID)
    points = grid_to_pixels(torch.arange(GRID, dtype=torch.float32), REGION_IMAGE_SIZE, GRID)
    v, u = torch.meshgrid(points, points, indexing="ij")
    for side in range(2):
        left, top, right, bottom = boxes[0, side]
        distances[0, side] = torch.stack([u - left, v - top, right - u, bottom - v]) / REGION_IMAGE_SIZE
        if presence[0, side]:
            column = int((points - (left + right) / 2).abs().argmin())
            row = int((points - (top + bottom) / 2).abs().argmin())
            logits[0, side, row, column] = 12.0
    return RegionMaps(logits, distances)


def boxes_of(draw: st.DataObject) -> Tensor:
    corner = st.floats(10, 70)
    extent = st.floats(12, 80)
    rows = []
    for _ in range(2):
        left, top = draw.draw(corner), draw.draw(corner)
        rows.append([left, top, left + draw.draw(extent), top + draw.draw(extent)])
    return torch.tensor([rows])


@given(data=st.data(), presence=st.tuples(st.booleans(), st.booleans()))
def test_decoding_gives_back_what_the_maps_say(data: st.DataObject, presence: tuple[bool, bool]) -> None:
    boxes, there = boxes_of(data), torch.tensor([presence])
    scores, found = decode_regions(perfect_maps(boxes, there))
    assert torch.equal(scores > 0.5, there)
    torch.testing.assert_close(found[there], boxes[there], atol=1e-3, rtol=0)


def test_perfect_maps_cost_nothing_and_wrong_ones_do() -> None:
    boxes = torch.tensor([[[30.0, 40.0, 90.0, 100.0], [100.0, 20.0, 150.0, 60.0]]])
    both = torch.ones(1, 2, dtype=torch.bool)
    centre, box = region_loss(perfect_maps(boxes, both), boxes, both)
    assert float(centre) < 1e-3
    assert float(box) < 1e-4
    swapped = RegionMaps(*(x.flip(1) for x in perfect_maps(boxes, both)))
    worse_centre, worse_box = region_loss(swapped, boxes, both)
    assert float(worse_centre) > 1
    assert float(worse_box) > 0.3


def test_absent_hands_teach_absence_alone() -> None:
    boxes = torch.zeros(1, 2, 4)
    none = torch.zeros(1, 2, dtype=torch.bool)
    maps = RegionMaps(torch.zeros(1, 2, GRID, GRID, requires_grad=True), torch.rand(1, 2, 4, GRID, GRID))
    centre, box = region_loss(maps, boxes, none)
    assert float(box) == 0
    (gradient,) = torch.autograd.grad(centre, maps.centre_logits)
    assert (gradient > 0).all()


def test_generalised_iou_of_boxes_apart_pulls_them_together() -> None:
    boxes = torch.tensor([[[40.0, 40.0, 60.0, 60.0]] * 2])
    both = torch.ones(1, 2, dtype=torch.bool)
    near, far = (
        region_loss(perfect_maps(boxes, both)._replace(distances=torch.full((1, 2, 4, GRID, GRID), d)), boxes, both)[1]
        for d in (0.001, 0.5)
    )
    exact = region_loss(perfect_maps(boxes, both), boxes, both)[1]
    assert exact < near
    assert exact < far


@pytest.mark.parametrize("size", [160, 192])
def test_shapes(size: int) -> None:
    with torch.no_grad():
        maps = RegionNet().eval()(torch.rand(2, 3, size, size))
    assert maps.centre_logits.shape == (2, 2, size // STRIDE, size // STRIDE)
    assert maps.distances.shape == (2, 2, 4, size // STRIDE, size // STRIDE)
    assert (maps.distances >= 0).all()


def test_size_stays_small() -> None:
    assert sum(p.numel() for p in RegionNet().parameters()) < 1_000_000
