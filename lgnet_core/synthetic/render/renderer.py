"""Renderer of two hands with arms, accessories, objects, shadows and background; image, segmentation and depth."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lgnet_core.data.sample import ARM, OTHER, RIGHT_HAND
from lgnet_core.geometry.camera import project
from lgnet_core.hand_model import HandLayer
from lgnet_core.synthetic.body.accessories import Accessories
from lgnet_core.synthetic.body.forearm import SKIN, ForearmGeometry
from lgnet_core.synthetic.body.skin import TEXELS, lookup_details, noise_volume, paint_details
from lgnet_core.synthetic.body.surface import Surface, incident_faces, normalize, vertex_normals
from lgnet_core.synthetic.render.backgrounds import Backgrounds
from lgnet_core.synthetic.render.shading import albedo, radiance, tone_map
from lgnet_core.synthetic.render.shadows import NORMAL_OFFSET, ShadowMap, background_shadow
from lgnet_core.synthetic.render.solid_shading import shade_solids
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.appearance import Appearance, sample_appearance
from lgnet_core.synthetic.scene.objects import background_solids
from lgnet_core.synthetic.scene.solids import Solids, cast_rays
from lgnet_core.visualization.raster import rasterize, scatter

_DEFAULT_HAND_DISTANCE = 0.7  # metres, for images without hands


class RenderOutput(NamedTuple):
    """Rendered images and label maps.

    Shapes:
        image: (B, 3, H, W) float32 sRGB in [0, 1]; segmentation: (B, H, W) uint8, labels of
        :mod:`lgnet_core.data.sample`; depth: (B, H, W) metres, 0 for background.
    """

    image: Tensor
    segmentation: Tensor
    depth: Tensor


class Renderer(torch.nn.Module):
    """Renders posed hands with random appearance, accessories, illumination and background.

    Args:
        hand_model: provides faces and rest shape; posed vertices are arguments of :meth:`render`.
        device: device to render on.
    """

    details: Tensor
    noise: Tensor
    incident: Tensor
    label: Tensor
    hand_vertices: Tensor

    def __init__(self, hand_model: HandLayer, device: torch.device | str = "cpu") -> None:
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
        rng: CounterRng,
        objects: Solids | None = None,
    ) -> RenderOutput:
        """Render B images; the near plane is at 5 cm.

        Args:
            vertices: vertices of both hands, camera frame, metres; those of absent hands are ignored.
            presence: hands to render. rng: random streams of the images, on the device of the renderer.
            objects: held objects and occluders, camera frame; None for none.

        Shapes:
            vertices: (B, 2, 778, 3); presence: (B, 2) bool; intrinsics: (B, 3, 3).
        """
        appearance = sample_appearance(rng)
        hands = torch.where(presence[..., None, None], vertices, self.arms.template)  # placeholder for absent hands
        mesh, has_sleeve = self.arms(hands, rng)
        faces, side, material = self.arms.faces, self.arms.face_side, self.arms.face_material
        face_mask = presence[:, side] & ((material == SKIN) | has_sleeve[:, side])  # (B, F)

        pixels = project(mesh.vertices, intrinsics)
        points = torch.cat([pixels, mesh.vertices[..., 2:]], -1)
        fragments = rasterize(points, faces, height, width, face_mask, cull=True)

        normals = vertex_normals(mesh.vertices, faces, self.incident)
        focus = (presence[:, :, None] & self.hand_vertices).flatten(1)
        shadows = ShadowMap(mesh.vertices, faces, face_mask, focus, appearance.key_direction)
        shadow_coordinates = shadows.project(mesh.vertices + NORMAL_OFFSET * normals)
        attributes = (
            torch.cat([mesh.vertices, normals, mesh.rest, shadow_coordinates], -1).permute(2, 0, 1).contiguous()
        )
        position, normal, rest, shadow_coordinates = fragments.interpolate(attributes, faces).split(3)
        surface = Surface(
            batch=fragments.batch,
            side=side.index_select(0, fragments.face),
            material=material.index_select(0, fragments.face),
            position=position,
            normal=normalize(normal),
            rest=rest,
            details=lookup_details(self.details, fragments.face, fragments.barycentric),
        )
        surface = self.accessories(surface, mesh.vertices, self.noise, rng)
        key_visibility = shadows.visibility(shadow_coordinates, surface.batch, appearance.shadow_softness)
        light = radiance(surface, albedo(surface, appearance, self.noise), key_visibility, appearance)

        canvas = torch.zeros(len(rng), height, width, device=vertices.device)
        segmentation = fragments.scatter(self.label.index_select(0, fragments.face), canvas.to(torch.uint8))
        depth = fragments.scatter(fragments.depth, canvas)
        image = self.backgrounds(height, width, rng)
        farthest = torch.where(presence, vertices[..., 2].amax(2), 0).amax(1)
        self._render_background_solids(
            image, intrinsics, torch.where(farthest > 0, farthest, _DEFAULT_HAND_DISTANCE), appearance, rng
        )
        image *= appearance.background_gain[..., None, None]
        image *= background_shadow((segmentation > 0).float(), appearance.key_direction, rng)
        fragments.scatter(tone_map(light, surface, appearance), image)
        if objects is not None:
            hits = cast_rays(objects, intrinsics, height, width)
            hand_depth = depth.flatten()[hits.pixel]
            hits = hits.select((hand_depth == 0) | (hits.depth < hand_depth))
            shadow_coordinates = shadows.project_fragments(hits.position + NORMAL_OFFSET * hits.normal, hits.batch)
            key_visibility = shadows.visibility(shadow_coordinates, hits.batch, appearance.shadow_softness)
            colours = shade_solids(hits, objects, key_visibility, appearance, self.backgrounds, rng, "things")
            labels = torch.full_like(hits.pixel, OTHER, dtype=torch.uint8)
            for values, target in ((colours, image), (labels, segmentation), (hits.depth, depth)):
                scatter(hits.pixel, hits.batch, values, target)
        return RenderOutput(image, segmentation, depth)

    def _render_background_solids(
        self, image: Tensor, intrinsics: Tensor, distance: Tensor, appearance: Appearance, rng: CounterRng
    ) -> None:
        """Render solids behind the hands, which are at ``distance`` (B,) metres, onto the background, in place."""
        height, width = image.shape[2:]
        solids = background_solids(rng, intrinsics, height, width, distance)
        hits = cast_rays(solids, intrinsics, height, width)
        key_visibility = torch.ones_like(hits.depth)
        head = solids.present.shape[1] - 1
        scatter(
            hits.pixel,
            hits.batch,
            shade_solids(hits, solids, key_visibility, appearance, self.backgrounds, rng, "behind", head),
            image,
        )
