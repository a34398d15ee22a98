"""What hands wear: rings, watches and bracelets, gloves; painted on the surface, none of it changes its shape."""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.body.bands import draw_bands, locate_bands, put_on_bands
from lgnet_core.synthetic.body.dials import RADIUS, draw_dials, put_on_dials
from lgnet_core.synthetic.body.forearm import SKIN, ForearmGeometry
from lgnet_core.synthetic.body.glove_coats import put_on_gloves
from lgnet_core.synthetic.body.gloves import draw_gloves
from lgnet_core.synthetic.body.rings import put_on_rings
from lgnet_core.synthetic.body.surface import Surface
from lgnet_core.synthetic.body.tubes import Tubes
from lgnet_core.synthetic.random import Draws

_REACH = RADIUS[1] + 0.003  # metres along the arm


class Accessories(torch.nn.Module):
    """Puts on what each hand wears."""

    def __init__(self, hand_model: HandModel, arms: ForearmGeometry) -> None:
        super().__init__()
        self.tubes = Tubes(hand_model, arms)

    def forward(self, surface: Surface, vertices: Tensor, noise: Tensor, draws: Draws) -> Surface:
        """The surface with coats on it; its normals are bent in place.

        Args:
            vertices: (B, 2 V, 3) of the armed mesh, camera frame, metres.
            noise: of :func:`~lgnet_core.synthetic.body.skin.noise_volume`.
        """
        hand = surface.batch * 2 + surface.side
        directions = self.tubes.directions(vertices)
        bare = surface.material == SKIN
        surface = put_on_rings(surface, hand, bare, self.tubes, directions, draws)
        bands = draw_bands(draws)
        place = locate_bands(bands, surface, hand, bare, self.tubes, _REACH)
        surface = put_on_bands(surface, place, bands, directions)
        surface = put_on_dials(surface, place, draw_dials(draws, bands), directions)
        return put_on_gloves(surface, hand, bare, self.tubes, noise, draw_gloves(draws))
