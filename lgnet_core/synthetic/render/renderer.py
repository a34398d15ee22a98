"""From two posed hands to what a perfect eye would see: arms, pixels, light, shadows, background."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.data.sample import ARM, OTHER, RIGHT_HAND
from lgnet_core.geometry.camera import project
from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.body.accessories import Accessories
from lgnet_core.synthetic.body.forearm import SKIN, ForearmGeometry
from lgnet_core.synthetic.body.skin import TEXELS, lookup_details, noise_volume, paint_details
from lgnet_core.synthetic.body.surface import Surface, incident_faces, unit, vertex_normals
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.render.backgrounds import Backgrounds
from lgnet_core.synthetic.render.painting import paint_solids
from lgnet_core.synthetic.render.shading import albedo, develop, radiance
from lgnet_core.synthetic.render.shadows import LIFT, ShadowMap, cast_shadow
from lgnet_core.synthetic.scene.appearance import Appearance, sample_appearance
from lgnet_core.synthetic.scene.objects import things_behind
from lgnet_core.synthetic.scene.solids import Solids, cast
from lgnet_core.visualization.raster import rasterize, scatter

_NO_HANDS = 0.7  # metres from the camera to where hands would be


class Rendered(NamedTuple):
    """Images and what is seen where.

    Shapes:
        image: (B, 3, H, W) float32 sRGB in [0, 1]; segmentation: (B, H, W) uint8, constants of
        :mod:`lgnet_core.data.sample`; depth: (B, H, W) metres, 0 = background.
    """

    image: Tensor
    segmentation: Tensor
    depth: Tensor


class Renderer(torch.nn.Module):
    """Draws both hands of a hand model, with everything around them random.

    Args:
        hand_model: gives faces and rest shape; the vertices to draw are handed to :meth:`render`.
        device: where images are drawn; the code is the same everywhere.
    """

    details: Tensor
    noise: Tensor
    incident: Tensor
    label: Tensor
    hand_vertices: Tensor

    def __init__(self, hand_model: HandModel, device: torch.device | str = "cpu") -> None:
        super().__init__()
        self.arms = ForearmGeometry(hand_model)
        self.accessories = Accessories(hand_model, self.arms)
        self.backgrounds = Backgrounds()
        faces = self.arms.faces
        hand_faces = self.arms.face_is_hand
        details = torch.zeros(len(faces), TEXELS * TEXELS, 4)
        details[hand_faces] = paint_details(hand_model).flatten(0, 1)
        self.register_buffer("details", details.flatten(0, 1).t().contiguous(), persistent=False)
        self.register_buffer("noise", noise_volume(), persistent=False)
        vertex_count = 2 * self.arms.vertex_count
        self.register_buffer("incident", incident_faces(faces, vertex_count), persistent=False)
        label = torch.where(hand_faces, self.arms.face_side + RIGHT_HAND, ARM)
        self.register_buffer("label", label.to(torch.uint8), persistent=False)
        is_hand = torch.zeros(2, self.arms.vertex_count, dtype=torch.bool)
        is_hand[:, : hand_model.v_template.shape[1]] = True
        self.register_buffer("hand_vertices", is_hand, persistent=False)
        self.to(device)

    @torch.no_grad()
    def render(
        self,
        vertices: Tensor,
        presence: Tensor,
        intrinsics: Tensor,
        height: int,
        width: int,
        draws: Draws,
        things: Solids | None = None,
    ) -> Rendered:
        """Draw B images. Parts nearer to the camera than 5 cm are left out.

        Args:
            vertices: model vertices of both hands, camera frame, metres; those of absent hands are ignored.
            presence: which hands are drawn. draws: of the same images, on the renderer's device.
            things: among the hands, camera frame; None: none.

        Shapes:
            vertices: (B, 2, 778, 3); presence: (B, 2) bool; intrinsics: (B, 3, 3).
        """
        looks = sample_appearance(draws)
        hands = torch.where(
            presence[..., None, None], vertices, self.arms.template
        )  # whatever stands for an absent one
        mesh, sleeved = self.arms(hands, draws)
        faces, side, material = self.arms.faces, self.arms.face_side, self.arms.face_material
        drawn = presence[:, side] & ((material == SKIN) | sleeved[:, side])  # (B, F)

        pixels = project(mesh.vertices, intrinsics)
        points = torch.cat([pixels, mesh.vertices[..., 2:]], -1)
        fragments = rasterize(points, faces, height, width, drawn, cull=True)

        normals = vertex_normals(mesh.vertices, faces, self.incident)
        focus = (presence[:, :, None] & self.hand_vertices).flatten(1)
        shadows = ShadowMap(mesh.vertices, faces, drawn, focus, looks.key_direction)
        in_map = shadows.place(mesh.vertices + LIFT * normals)
        attributes = torch.cat([mesh.vertices, normals, mesh.rest, in_map], -1).permute(2, 0, 1).contiguous()
        position, normal, rest, in_map = fragments.interpolate(attributes, faces).split(3)
        surface = Surface(
            batch=fragments.batch,
            side=side.index_select(0, fragments.face),
            material=material.index_select(0, fragments.face),
            position=position,
            normal=unit(normal),
            rest=rest,
            details=lookup_details(self.details, fragments.face, fragments.barycentric),
        )
        surface = self.accessories(surface, mesh.vertices, self.noise, draws)
        lit = shadows.light(in_map, surface.batch, looks.shadow_softness)
        light = radiance(surface, albedo(surface, looks, self.noise), lit, looks)

        canvas = torch.zeros(len(draws), height, width, device=vertices.device)
        segmentation = fragments.scatter(self.label.index_select(0, fragments.face), canvas.to(torch.uint8))
        depth = fragments.scatter(fragments.depth, canvas)
        image = self.backgrounds(height, width, draws)
        farthest = torch.where(presence, vertices[..., 2].amax(2), 0).amax(1)
        self._furnish(image, intrinsics, torch.where(farthest > 0, farthest, _NO_HANDS), looks, draws)
        image *= looks.surroundings[..., None, None]
        image *= cast_shadow((segmentation > 0).float(), looks.key_direction, draws)
        fragments.scatter(develop(light, surface, looks), image)
        if things is not None:
            hits = cast(things, intrinsics, height, width)
            behind = depth.flatten()[hits.pixel]
            hits = hits.where((behind == 0) | (hits.depth < behind))
            in_map = shadows.place_each(hits.position + LIFT * hits.normal, hits.batch)
            lit = shadows.light(in_map, hits.batch, looks.shadow_softness)
            colours = paint_solids(hits, things, lit, looks, self.backgrounds, draws, "things")
            labels = torch.full_like(hits.pixel, OTHER, dtype=torch.uint8)
            for values, target in ((colours, image), (labels, segmentation), (hits.depth, depth)):
                scatter(hits.pixel, hits.batch, values, target)
        return Rendered(image, segmentation, depth)

    def _furnish(self, image: Tensor, intrinsics: Tensor, distance: Tensor, looks: Appearance, draws: Draws) -> None:
        """Draw a scene of solids behind the hands, (B,) ``distance`` metres away, onto the background, in place."""
        height, width = image.shape[2:]
        solids = things_behind(draws, intrinsics, height, width, distance)
        hits = cast(solids, intrinsics, height, width)
        lit = torch.ones_like(hits.depth)
        head = solids.there.shape[1] - 1
        scatter(
            hits.pixel,
            hits.batch,
            paint_solids(hits, solids, lit, looks, self.backgrounds, draws, "behind", head),
            image,
        )
