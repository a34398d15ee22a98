"""Accessories of the hands: rings, wristbands, watches and gloves, applied as coats without changing the mesh."""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.hand_model import HandLayer
from lgnet_core.synthetic.body.forearm import SKIN, ForearmGeometry
from lgnet_core.synthetic.body.gloves import apply_gloves, sample_gloves
from lgnet_core.synthetic.body.rings import apply_rings
from lgnet_core.synthetic.body.segment_frames import SegmentFrames
from lgnet_core.synthetic.body.surface import Surface
from lgnet_core.synthetic.body.watch_faces import RADIUS, apply_watch_faces, sample_watch_faces
from lgnet_core.synthetic.body.wristbands import apply_wristbands, locate_wristbands, sample_wristbands
from lgnet_core.synthetic.rng import CounterRng

_REACH = RADIUS[1] + 0.003  # metres along the arm from the centre line of a wristband


class Accessories(torch.nn.Module):
    """Applies randomly sampled accessories to both hands."""

    def __init__(self, hand_model: HandLayer, arms: ForearmGeometry) -> None:
        super().__init__()
        self.segment_frames = SegmentFrames(hand_model, arms)

    def forward(self, surface: Surface, vertices: Tensor, noise: Tensor, rng: CounterRng) -> Surface:
        """Add the coats of the accessories to the surface; normals are modified in place.

        Args:
            vertices: (B, 2 V, 3) of the hand-arm mesh, camera frame, metres.
            noise: of :func:`~lgnet_core.synthetic.body.skin.noise_volume`.
        """
        hand = surface.batch * 2 + surface.side
        axes = self.segment_frames.axes(vertices)
        bare = surface.material == SKIN
        surface = apply_rings(surface, hand, bare, self.segment_frames, axes, rng)
        bands = sample_wristbands(rng)
        coordinates = locate_wristbands(bands, surface, hand, bare, self.segment_frames, _REACH)
        surface = apply_wristbands(surface, coordinates, bands, axes)
        surface = apply_watch_faces(surface, coordinates, sample_watch_faces(rng, bands), axes)
        return apply_gloves(surface, hand, bare, self.segment_frames, noise, sample_gloves(rng))
