"""Watch faces: frequencies, position, size and normals."""

import pytest
import torch
from support.dressed_wrists import dress_wrists

from lgnet_core.synthetic.body.segment_frames import SEGMENT_COUNT, WRIST_SEGMENT
from lgnet_core.synthetic.body.watch_faces import (
    DORSAL_PROBABILITY,
    RADIUS,
    SQUARE_CASE_PROBABILITY,
    sample_watch_faces,
)
from lgnet_core.synthetic.body.wristbands import BandKind, sample_wristbands
from lgnet_core.synthetic.rng import CounterRng

IMAGES = 40


@pytest.fixture
def dressed(rest_hands, segment_frames, monkeypatch):
    return dress_wrists(rest_hands, segment_frames, IMAGES, monkeypatch)


def test_watch_face_frequencies():
    rng = CounterRng(1, torch.arange(4000))
    bands = sample_wristbands(rng)
    watch_faces = sample_watch_faces(rng, bands)
    has_face = (watch_faces.half_size > 0).all(-1)
    assert torch.equal(has_face, ((bands.kind == BandKind.WATCH) | (bands.kind == BandKind.FITNESS))[..., 0])
    watches = bands.kind == BandKind.WATCH
    assert abs(watch_faces.square[watches].float().mean() - SQUARE_CASE_PROBABILITY) < 0.06
    assert abs((watch_faces.dorsal_sign[watches] > 0).float().mean() - DORSAL_PROBABILITY) < 0.04


def test_watch_faces_are_compact_and_on_one_side_of_wrist(segment_frames, dressed):
    surface, bands, watch_faces = dressed
    face = surface.coats[1]
    hidden = face.fragment[face.opacity > 0.7]
    hand = surface.batch[hidden] * 2 + surface.side[hidden]
    assert (bands.kind.flatten()[hand] <= BandKind.FITNESS).all()
    coordinates = segment_frames.coordinates(surface, hidden, hand, torch.full_like(hand, WRIST_SEGMENT))
    assert (coordinates.above * watch_faces.dorsal_sign.flatten()[hand] > 0).all()
    checked = 0
    for one in hand.unique():
        selected = hand == one
        if bands.kind.flatten()[one] == BandKind.WATCH:
            extent = torch.stack(
                [v[selected].max() - v[selected].min() for v in (coordinates.along, coordinates.across)]
            )
            assert (extent < 2 * RADIUS[1] + 0.004).all()
            assert (extent > 1.2 * RADIUS[0]).all()
            checked += 1
    assert checked > 10


def test_watch_faces_are_flat(dressed, rest_hands, segment_frames):
    surface, _, watch_faces = dressed
    face = surface.coats[1]
    glass = (face.opacity > 0.99) & (face.metallic == 0)
    normals = surface.normal[:, face.fragment[glass]]
    hand = surface.batch[face.fragment[glass]] * 2 + surface.side[face.fragment[glass]]
    above = segment_frames.axes(rest_hands.vertices.expand(IMAGES, -1, -1)).view(-1, SEGMENT_COUNT, 3, 3)[
        hand, WRIST_SEGMENT, 1
    ]
    facing = (normals.T * above).sum(1) * watch_faces.dorsal_sign.flatten()[hand]
    assert facing.min() > 0.999
