"""The detector network: its body, what its maps say as boxes, and what its loss wants."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lgnet_core.camera import grid_to_pixels
from lgnet_core.network.palm_net import load_palm_net
from lgnet_core.network.region_net import (
    REACH_UNIT,
    REGION_IMAGE_SIZE,
    STRIDE,
    RegionMaps,
    RegionNet,
    decode_hands,
    region_loss,
)

GRID = REGION_IMAGE_SIZE // STRIDE


def perfect_maps(boxes: Tensor) -> RegionMaps:
    """Maps that say exactly ``boxes`` (N, 4) from the cell nearest each centre; each cell speaks of its nearest box."""
    logits = torch.full((1, GRID, GRID), -12.0)
    points = grid_to_pixels(torch.arange(GRID, dtype=torch.float32), REGION_IMAGE_SIZE, GRID)
    v, u = torch.meshgrid(points, points, indexing="ij")
    distances = torch.zeros(1, 4, GRID, GRID)
    nearest = torch.full((GRID, GRID), torch.inf)
    for left, top, right, bottom in boxes.tolist():
        away = ((u - (left + right) / 2) / (right - left)) ** 2 + ((v - (top + bottom) / 2) / (bottom - top)) ** 2
        mine = torch.stack([u - left, v - top, right - u, bottom - v]) / REACH_UNIT
        distances[0] = torch.where(away < nearest, mine, distances[0])
        nearest = torch.minimum(nearest, away)
        logits[0].view(-1)[away.argmin()] = 12.0
    return RegionMaps(logits, distances)


LEFT, RIGHT = torch.tensor([20.0, 40.0, 80.0, 100.0]), torch.tensor([100.0, 20.0, 150.0, 60.0])


@st.composite
def boxes_apart(draw: st.DrawFn) -> Tensor:
    """None, one or two boxes (N, 4) that do not overlap, in any order."""
    count = draw(st.integers(0, 2))
    rows = []
    for column in draw(st.permutations([0, 1]))[:count]:
        left, top = 80 * column + draw(st.floats(1, 30)), draw(st.floats(1, 70))
        rows.append([left, top, left + draw(st.floats(12, 45)), top + draw(st.floats(12, 85))])
    return torch.tensor(rows).reshape(-1, 4)


@given(boxes=boxes_apart())
def test_decoding_gives_back_what_the_maps_say(boxes: Tensor) -> None:
    scores, found = decode_hands(perfect_maps(boxes))
    assert (scores > 0.5).sum() == len(boxes)
    said = found[0][scores[0] > 0.5]
    order, expected = said[:, 0].argsort(), boxes[:, 0].argsort()
    torch.testing.assert_close(said[order], boxes[expected], atol=1e-3, rtol=0)


def test_the_better_hand_comes_first_and_is_not_reported_twice() -> None:
    maps = perfect_maps(torch.stack([LEFT, RIGHT]))
    maps.palm_logits[0].view(-1)[maps.palm_logits[0].argmax()] = 6.0  # LEFT's: the first one in the map is RIGHT's
    scores, found = decode_hands(maps)
    assert scores[0, 0] > scores[0, 1] > 0.9
    maps.palm_logits[0, 8, 9] = maps.palm_logits[0, 11, 7] = 11.0  # more peaks that speak of LEFT
    again = decode_hands(maps)
    assert {tuple(box) for box in again.boxes[0].round().tolist()} == {tuple(b) for b in found[0].round().tolist()}


def test_hands_that_overlap_are_both_found() -> None:
    crossed = torch.stack([LEFT, LEFT + torch.tensor([35.0, 20.0, 35.0, 20.0])])
    scores, found = decode_hands(perfect_maps(crossed))
    assert (scores > 0.9).all()
    torch.testing.assert_close(found[0][found[0, :, 0].argsort()], crossed, atol=1e-3, rtol=0)


def middles(boxes: Tensor) -> Tensor:
    """Where the maps above have their palms."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def test_perfect_maps_cost_nothing_and_wrong_ones_do() -> None:
    boxes, both = torch.stack([LEFT, RIGHT])[None], torch.ones(1, 2, dtype=torch.bool)
    for order in ([0, 1], [1, 0]):  # the order of the regions means nothing
        centre, box = region_loss(perfect_maps(boxes[0]), middles(boxes[:, order]), boxes[:, order], both)
        assert float(centre) < 1e-3
        assert float(box) < 1e-4
    mirrored = RegionMaps(*(x.flip(-1) for x in perfect_maps(boxes[0])))
    worse_centre, worse_box = region_loss(mirrored, middles(boxes), boxes, both)
    assert float(worse_centre) > 1
    assert float(worse_box) > 0.3


def test_a_picture_without_hands_teaches_absence_alone() -> None:
    boxes, none = torch.zeros(1, 2, 4), torch.zeros(1, 2, dtype=torch.bool)
    maps = RegionMaps(torch.zeros(1, GRID, GRID, requires_grad=True), torch.rand(1, 4, GRID, GRID))
    centre, box = region_loss(maps, middles(boxes), boxes, none)
    assert float(box) == 0
    (gradient,) = torch.autograd.grad(centre, maps.palm_logits)
    assert (gradient > 0).all()


def test_generalised_iou_of_boxes_apart_pulls_them_together() -> None:
    boxes, one = LEFT.expand(1, 2, 4), torch.tensor([[True, False]])
    exact = perfect_maps(boxes[0, :1])
    near, far = (
        region_loss(exact._replace(distances=torch.full((1, 4, GRID, GRID), d)), middles(boxes), boxes, one)[1]
        for d in (0.001, 0.5)
    )
    perfect = region_loss(exact, middles(boxes), boxes, one)[1]
    assert perfect < near
    assert perfect < far


def test_the_palm_is_taught_where_it_is_and_the_box_around_its_hand() -> None:
    """A palm beside its box's middle: the logit's peak goes there, and from there the box is told."""
    boxes, one = LEFT.expand(1, 2, 4), torch.tensor([[True, False]])
    palms = torch.tensor([[[75.5, 91.5], [0.0, 0.0]]])  # middle of cell (9, 11)
    maps = RegionMaps(torch.zeros(1, GRID, GRID, requires_grad=True), torch.rand(1, 4, GRID, GRID, requires_grad=True))
    palm, box = region_loss(maps, palms, boxes, one)
    (of_logits,) = torch.autograd.grad(palm, maps.palm_logits)
    assert (of_logits < 0).nonzero().tolist() == [[0, 11, 9]]
    (of_distances,) = torch.autograd.grad(box, maps.distances)
    assert of_distances[0].abs().sum(0).argmax() == 11 * GRID + 9


@pytest.mark.parametrize("size", [160, 192])
def test_shapes(size: int) -> None:
    with torch.no_grad():
        maps = RegionNet().eval()(torch.rand(2, 3, size, size))
    assert maps.palm_logits.shape == (2, size // STRIDE, size // STRIDE)
    assert maps.distances.shape == (2, 4, size // STRIDE, size // STRIDE)
    assert (maps.distances >= 0).all()


def test_size_stays_small() -> None:
    assert sum(p.numel() for p in RegionNet().parameters()) < 1_150_000


def test_the_body_computes_what_litert_computes() -> None:
    """The picture and the numbers are those of tools/read_mediapipe.py: LiteRT ran the wheel's network."""
    y, x = torch.meshgrid(torch.arange(192.0), torch.arange(192.0), indexing="ij")
    waves = torch.stack([torch.sin(x / 9 + y / 31), torch.cos(x / 17 - y / 7), torch.sin((x + y) / 23)])
    with torch.no_grad():
        features = load_palm_net().eval()(waves[None] / 2 + 0.5).mean((-2, -1))[0, ::8]
    litert = [0.7761, 0.6046, 1.2747, 1.2206, 3.2668, 6.9855, 1.0638, 1.0009]
    litert += [0.0485, 0.7649, 4.8807, 1.4317, 0.19, 0.0648, 3.1286, 2.4433]
    torch.testing.assert_close(features, torch.tensor(litert), atol=1e-4, rtol=0)
