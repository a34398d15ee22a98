"""Rest hands with a wristband on every arm, for tests of wristbands and watch faces."""

from typing import NamedTuple

import pytest
import torch

from lgnet_core.synthetic.body import wristbands
from lgnet_core.synthetic.body.forearm import SKIN
from lgnet_core.synthetic.body.segment_frames import SegmentFrames
from lgnet_core.synthetic.body.surface import Surface
from lgnet_core.synthetic.body.watch_faces import WatchFaces, apply_watch_faces, sample_watch_faces
from lgnet_core.synthetic.body.wristbands import Wristbands, apply_wristbands, locate_wristbands, sample_wristbands
from lgnet_core.synthetic.rng import CounterRng
from support.rest_surface import RestHands


class DressedWrists(NamedTuple):
    """Surface with two coats, wristbands and watch faces, and their parameters."""

    surface: Surface
    bands: Wristbands
    watch_faces: WatchFaces


def dress_wrists(
    rest_hands: RestHands, segment_frames: SegmentFrames, images: int, monkeypatch: pytest.MonkeyPatch
) -> DressedWrists:
    """Apply a wristband to every arm of some images."""
    monkeypatch.setattr(wristbands, "BAND_PROBABILITY", 1.0)
    rng = CounterRng(1, torch.arange(images))
    bands = sample_wristbands(rng)
    watch_faces = sample_watch_faces(rng, bands)
    surface = rest_hands.surface(images)
    hand = surface.batch * 2 + surface.side
    axes = segment_frames.axes(rest_hands.vertices.expand(images, -1, -1))
    coordinates = locate_wristbands(bands, surface, hand, surface.material == SKIN, segment_frames, 0.024)
    surface = apply_wristbands(surface, coordinates, bands, axes)
    return DressedWrists(apply_watch_faces(surface, coordinates, watch_faces, axes), bands, watch_faces)
