"""Synthetic images of two hands, one hand or none, with every label: from (seed, image index) to a HandsBatch."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.data.sample import HandsBatch
from lgnet_core.geometry.camera import project
from lgnet_core.hand_model import HandModel, load_hand_model
from lgnet_core.synthetic.camera.cameras import View, crop_cameras, draw_crops, draw_image_sizes, draw_view
from lgnet_core.synthetic.camera.sensor import Sensor
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.render.renderer import Renderer
from lgnet_core.synthetic.render.visibility import hand_presence, joint_radii, joint_visibility, sample_nearest
from lgnet_core.synthetic.reserved import Part
from lgnet_core.synthetic.scene.capsules import CapsuleHands
from lgnet_core.synthetic.scene.interactions import Scene, draw_kinds, draw_scene, forearm_directions
from lgnet_core.synthetic.scene.objects import held_things, things_in_front
from lgnet_core.synthetic.scene.solids import Solids

GENERATOR_VERSION = 5
"""Raised whenever the same (seed, index) gives another image or label."""

_MAX_SHRINK = 6  # a far hand's crop is enlarged at most this much


class PosedScene(NamedTuple):
    """A scene in front of its camera: everything in the camera's frame, metres.

    Shapes:
        rotations: (B, 2, 16, 3, 3); wrist: (B, 2, 3); vertices: (B, 2, 778, 3); joints: (B, 2, 21, 3).
    """

    scene: Scene
    view: View
    rotations: Tensor
    wrist: Tensor
    vertices: Tensor
    joints: Tensor

    def turned(self, rotation: Tensor) -> PosedScene:
        """The same scene in a camera frame turned by ``rotation`` (B, 3, 3)."""
        turn = rotation[:, None]
        root = turn @ self.rotations[:, :, 0]
        return self._replace(
            rotations=torch.cat([root[:, :, None], self.rotations[:, :, 1:]], 2),
            wrist=(turn @ self.wrist[..., None])[..., 0],
            vertices=self.vertices @ turn.transpose(-1, -2),
            joints=self.joints @ turn.transpose(-1, -2),
        )


class SyntheticHands:
    """Generator of labelled images; the same index gives the same image, up to rounding, whatever is drawn with it.

    Args:
        seed: of the data set; use different seeds for training and testing.
        hand_model: None for the bundled hand.
        device: where scenes are drawn and rendered.
        part: what training may draw, or what is kept for judging it.
    """

    def __init__(
        self,
        seed: int = 0,
        hand_model: HandModel | None = None,
        device: torch.device | str = "cpu",
        part: Part = Part.TRAINING,
    ) -> None:
        self.seed = seed
        self.part = part
        self.device = torch.device(device)
        self.hand_model = (load_hand_model() if hand_model is None else hand_model).to(self.device)
        self.capsules = CapsuleHands(self.hand_model, self.device)
        self.renderer = Renderer(self.hand_model, self.device)
        self.sensor = Sensor().to(self.device)
        self._radii = joint_radii(self.hand_model)

    def kinds(self, indices: Tensor) -> Tensor:
        """(B,) :class:`~lgnet_core.synthetic.scene.interactions.Kind` of the images with these indices (B,)."""
        return draw_kinds(Draws(self.seed, indices, self.device, self.part))

    @torch.no_grad()
    def crops(self, indices: Tensor, size: int = 256) -> HandsBatch:
        """Square crops around the hands, as the network sees them.

        The camera frame of a turned crop is turned with it (:func:`lgnet_core.geometry.camera.crop_intrinsics`). Where
        a crop reaches beyond the full image it is black.

        Args:
            indices: (B,) int64 image indices. size: side of the crops, pixels.
        """
        draws = Draws(self.seed, indices, self.device, self.part)
        posed = self._pose(draws, draw_image_sizes(draws))
        view, scene = posed.view, posed.scene
        affine = draw_crops(draws, view, scene.presence, posed.vertices, size)
        intrinsics, turn = crop_cameras(affine, view.intrinsics)
        return self._render(draws, posed.turned(turn), intrinsics, affine, size, size)

    @torch.no_grad()
    def images(self, indices: Tensor, width: int = 640, height: int = 480) -> HandsBatch:
        """Full images with their camera.

        Args:
            indices: (B,) int64 image indices. width, height: pixels.
        """
        draws = Draws(self.seed, indices, self.device, self.part)
        size = torch.tensor([width, height], device=self.device, dtype=torch.float32).expand(len(draws), 2)
        posed = self._pose(draws, size)
        affine = torch.eye(3, device=self.device)[:2].expand(len(draws), 2, 3).contiguous()
        return self._render(draws, posed, posed.view.intrinsics, affine, width, height)

    def _pose(self, draws: Draws, size: Tensor) -> PosedScene:
        scene = draw_scene(draws, self.capsules)
        mesh = self.hand_model(scene.rotations, scene.shape).wrist_relative()
        root = scene.wrist[:, :, None]
        forearm = forearm_directions(self.capsules, scene.rotations)
        vertices = mesh.vertices + root
        view = draw_view(draws, size, scene.plausible, scene.presence, vertices, scene.wrist, forearm)
        in_person = PosedScene(scene, view, scene.rotations, scene.wrist, vertices, mesh.joints + root)
        posed = in_person.turned(view.rotation)
        shift = view.translation[:, None]
        return posed._replace(
            wrist=posed.wrist + shift,
            vertices=posed.vertices + shift[:, None],
            joints=posed.joints + shift[:, None],
        )

    def _things(self, draws: Draws, posed: PosedScene) -> Solids:
        """What the hands hold and what hides them."""
        scene = posed.scene
        capsules = self.capsules.pose(posed.rotations, scene.shape).at(posed.wrist)
        frame = posed.rotations[:, :, 0] @ self.capsules.frames
        held = held_things(draws, capsules, frame, scene.presence, scene.kind)
        return Solids.joined(held, things_in_front(draws, posed.joints, scene.presence))

    def _render(
        self, draws: Draws, posed: PosedScene, intrinsics: Tensor, affine: Tensor, width: int, height: int
    ) -> HandsBatch:
        drawn = posed.scene.presence
        things = self._things(draws, posed)
        rendered = self.renderer.render(posed.vertices, drawn, intrinsics, height, width, draws, things)
        seen = _inside_full_image(affine, posed.view.size, width, height)
        image = self._photograph(rendered.image, affine, draws) * seen[:, None]
        segmentation = rendered.segmentation * seen
        pixels = project(posed.joints, intrinsics[:, None])
        presence = hand_presence(drawn, pixels, segmentation)
        visible = joint_visibility(posed.joints, pixels, rendered.depth, segmentation, self._radii)
        visible = visible & sample_nearest(seen, pixels)[0] & presence[..., None]
        return HandsBatch(
            image=(image * 255).round().clamp(0, 255).to(torch.uint8),
            intrinsics=intrinsics,
            affine=affine,
            rotations=posed.rotations,
            shape=posed.scene.shape,
            wrist=posed.wrist,
            presence=presence,
            visibility=visible,
            segmentation=segmentation,
        )

    def _photograph(self, image: Tensor, affine: Tensor, draws: Draws) -> Tensor:
        """What the camera makes of crops (B, 3, H, W): at the size at which it takes them, then enlarged to the crop's.

        A crop of a far hand, enlarged by about k >= 2, is photographed at a k-th of its size: its noise and its JPEG
        blocks are as large in the crop as its full image's.
        """
        enlarged = torch.linalg.det(affine[:, :, :2]).sqrt().round().clamp(1, _MAX_SHRINK)
        size = list(image.shape[-2:])
        photographs = torch.empty_like(image)
        for factor in range(1, _MAX_SHRINK + 1):
            rows = (enlarged == factor).nonzero()[:, 0]
            if len(rows):
                small = [s // factor for s in size]
                taken = self.sensor(_resize(image[rows], small), draws.of(rows), factor)
                photographs[rows] = _resize(taken, size)
        return photographs


def _resize(image: Tensor, size: list[int]) -> Tensor:
    if list(image.shape[-2:]) == size:
        return image
    return F.interpolate(image, size=size, mode="bilinear", antialias=True)


def _inside_full_image(affine: Tensor, image_size: Tensor, width: int, height: int) -> Tensor:
    """(B, H, W) bool: pixels of a crop that lie in the full image of ``image_size`` (B, 2)."""
    inverse = torch.linalg.inv(affine[:, :, :2])
    shift = -(inverse @ affine[:, :, 2:])  # (B, 2, 1)
    columns = inverse[:, :, :1] * torch.arange(width, device=affine.device) + shift  # (B, 2, W)
    rows = inverse[:, :, 1:] * torch.arange(height, device=affine.device)  # (B, 2, H)
    full = rows[..., :, None] + columns[..., None, :]  # (B, 2, H, W) pixels of the full image
    limit = image_size[:, :, None, None] - 0.5
    return ((full >= -0.5) & (full < limit)).all(1)
