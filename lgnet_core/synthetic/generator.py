"""Generator of synthetic images of two, one or no hands with complete labels, indexed by (seed, image index)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lgnet_core.data.sample import HandsBatch
from lgnet_core.geometry.camera import project
from lgnet_core.hand_model import HandLayer, load_hand_layer
from lgnet_core.synthetic.body.gloves import sample_gloves
from lgnet_core.synthetic.camera.crops import crop_cameras, sample_crops
from lgnet_core.synthetic.camera.imaging import ImagingPipeline
from lgnet_core.synthetic.camera.viewpoints import CameraView, sample_image_sizes, sample_view
from lgnet_core.synthetic.render.renderer import Renderer
from lgnet_core.synthetic.render.visibility import hand_presence, joint_radii, joint_visibility, sample_nearest
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.capsules import CapsuleHandModel
from lgnet_core.synthetic.scene.interactions import (
    Scene,
    forearm_directions,
    sample_holding,
    sample_scene,
    sample_scene_kinds,
)
from lgnet_core.synthetic.scene.objects import foreground_occluders, held_objects
from lgnet_core.synthetic.scene.solids import Solids
from lgnet_core.synthetic.splits import Split

GENERATOR_VERSION = 7
"""Incremented whenever the image or labels of a given (seed, index) change."""

_MAX_UPSCALING = 6  # largest simulated upscaling of a crop of a distant hand


class PosedScene(NamedTuple):
    """Scene transformed into the camera frame, metres.

    Shapes:
        rotations: (B, 2, 16, 3, 3); wrist: (B, 2, 3); vertices: (B, 2, 778, 3); joints: (B, 2, 21, 3).
    """

    scene: Scene
    view: CameraView
    rotations: Tensor
    wrist: Tensor
    vertices: Tensor
    joints: Tensor

    def rotated(self, rotation: Tensor) -> PosedScene:
        """Scene in a camera frame rotated by ``rotation`` (B, 3, 3)."""
        rotation = rotation[:, None]
        root = rotation @ self.rotations[:, :, 0]
        return self._replace(
            rotations=torch.cat([root[:, :, None], self.rotations[:, :, 1:]], 2),
            wrist=(rotation @ self.wrist[..., None])[..., 0],
            vertices=self.vertices @ rotation.transpose(-1, -2),
            joints=self.joints @ rotation.transpose(-1, -2),
        )


class SyntheticHands:
    """Generator of labelled images; an index gives the same image, up to rounding, in any batch.

    Args:
        seed: seed of the data set; use different seeds for training and testing.
        hand_model: None for the bundled hand model.
        device: device that scenes are sampled and rendered on.
        split: training or held-out split of the sampled quantities.
    """

    def __init__(
        self,
        seed: int = 0,
        hand_model: HandLayer | None = None,
        device: torch.device | str = "cpu",
        split: Split = Split.TRAINING,
    ) -> None:
        self.seed = seed
        self.split = split
        self.device = torch.device(device)
        self.hand_model = (load_hand_layer() if hand_model is None else hand_model).to(self.device)
        self.capsules = CapsuleHandModel(self.hand_model, self.device)
        self.renderer = Renderer(self.hand_model, self.device)
        self.imaging = ImagingPipeline().to(self.device)
        self._radii = joint_radii(self.hand_model)

    def scene_kinds(self, indices: Tensor) -> Tensor:
        """(B,) :class:`~lgnet_core.synthetic.scene.interactions.SceneKind` of the images with these indices (B,)."""
        return sample_scene_kinds(CounterRng(self.seed, indices, self.device, self.split))

    def gloves_worn(self, indices: Tensor) -> Tensor:
        """(B, 2) bool: which hands of the images with these indices (B,) wear gloves."""
        return sample_gloves(CounterRng(self.seed, indices, self.device, self.split)).worn

    def objects_held(self, indices: Tensor) -> Tensor:
        """(B, 2) bool: which hands of the images with these indices (B,) are posed with an object, if it fits."""
        rng = CounterRng(self.seed, indices, self.device, self.split)
        return sample_holding(rng, sample_scene_kinds(rng))

    @torch.no_grad()
    def crops(self, indices: Tensor, size: int = 256) -> HandsBatch:
        """Generate square crops around the hands, the inputs of the network.

        The camera frame of a rotated crop is rotated with it (:func:`lgnet_core.geometry.crops.crop_intrinsics`).
        Pixels outside of the full image are black.

        Args:
            indices: (B,) int64 image indices. size: side of the crops, pixels.
        """
        rng = CounterRng(self.seed, indices, self.device, self.split)
        posed = self._sample_posed_scene(rng, sample_image_sizes(rng))
        view, scene = posed.view, posed.scene
        affine = sample_crops(rng, view, scene.presence, posed.vertices, size)
        intrinsics, rotation = crop_cameras(affine, view.intrinsics)
        return self._render(rng, posed.rotated(rotation), intrinsics, affine, size, size)[0]

    def images(self, indices: Tensor, width: int = 640, height: int = 480) -> HandsBatch:
        """Generate full images.

        Args:
            indices: (B,) int64 image indices. width, height: image size, pixels.
        """
        return self.depth_images(indices, width, height)[0]

    @torch.no_grad()
    def depth_images(self, indices: Tensor, width: int = 640, height: int = 480) -> tuple[HandsBatch, Tensor]:
        """Full images as of :meth:`images`, and the exact depth of hands, arms and objects in front.

        Returns:
            The images, and (B, height, width) metres, 0 where the background is.
        """
        rng = CounterRng(self.seed, indices, self.device, self.split)
        size = torch.tensor([width, height], device=self.device, dtype=torch.float32).expand(len(rng), 2)
        posed = self._sample_posed_scene(rng, size)
        affine = torch.eye(3, device=self.device)[:2].expand(len(rng), 2, 3).contiguous()
        return self._render(rng, posed, posed.view.intrinsics, affine, width, height)

    def _sample_posed_scene(self, rng: CounterRng, size: Tensor) -> PosedScene:
        scene = sample_scene(rng, self.capsules)
        mesh = self.hand_model(scene.rotations, scene.shape).wrist_relative()
        root = scene.wrist[:, :, None]
        forearm = forearm_directions(self.capsules, scene.rotations)
        vertices = mesh.vertices + root
        view = sample_view(rng, size, scene.plausible, scene.presence, vertices, scene.wrist, forearm)
        in_person_frame = PosedScene(scene, view, scene.rotations, scene.wrist, vertices, mesh.joints + root)
        posed = in_person_frame.rotated(view.rotation)
        shift = view.translation[:, None]
        return posed._replace(
            wrist=posed.wrist + shift,
            vertices=posed.vertices + shift[:, None],
            joints=posed.joints + shift[:, None],
        )

    def _place_objects(self, rng: CounterRng, posed: PosedScene) -> Solids:
        """Held objects and foreground occluders."""
        scene = posed.scene
        capsules = self.capsules.pose(posed.rotations, scene.shape).translate(posed.wrist)
        axes = posed.rotations[:, :, 0] @ self.capsules.frames
        held = held_objects(rng, capsules, axes, scene.presence, scene.kind)
        return Solids.concatenate(held, foreground_occluders(rng, posed.joints, scene.presence))

    def _render(
        self, rng: CounterRng, posed: PosedScene, intrinsics: Tensor, affine: Tensor, width: int, height: int
    ) -> tuple[HandsBatch, Tensor]:
        rendered_hands = posed.scene.presence
        objects = self._place_objects(rng, posed)
        rendered = self.renderer.render(posed.vertices, rendered_hands, intrinsics, height, width, rng, objects)
        inside = _inside_full_image(affine, posed.view.size, width, height)
        image = self._capture(rendered.image, affine, rng) * inside[:, None]
        segmentation = rendered.segmentation * inside
        pixels = project(posed.joints, intrinsics[:, None])
        presence = hand_presence(rendered_hands, pixels, segmentation)
        visible = joint_visibility(posed.joints, pixels, rendered.depth, segmentation, self._radii)
        visible = visible & sample_nearest(inside, pixels)[0] & presence[..., None]
        batch = HandsBatch(
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
        return batch, rendered.depth

    def _capture(self, image: Tensor, affine: Tensor, rng: CounterRng) -> Tensor:
        """Simulate the capture of crops (B, 3, H, W) at the resolution of their full image, then resize to the crop.

        A crop of a distant hand that is upscaled by about k >= 2 is captured at 1 / k of its size, so that noise and
        JPEG blocks appear k times larger in the crop.
        """
        upscaling = torch.linalg.det(affine[:, :, :2]).sqrt().round().clamp(1, _MAX_UPSCALING)
        size = list(image.shape[-2:])
        captured = torch.empty_like(image)
        for factor in range(1, _MAX_UPSCALING + 1):
            rows = (upscaling == factor).nonzero()[:, 0]
            if len(rows):
                capture_size = [s // factor for s in size]
                output = self.imaging(_resize(image[rows], capture_size), rng.select(rows), factor)
                captured[rows] = _resize(output, size)
        return captured


def _resize(image: Tensor, size: list[int]) -> Tensor:
    if list(image.shape[-2:]) == size:
        return image
    return F.interpolate(image, size=size, mode="bilinear", antialias=True)


def _inside_full_image(affine: Tensor, image_size: Tensor, width: int, height: int) -> Tensor:
    """Mask (B, H, W) of the crop pixels that lie in the full image of ``image_size`` (B, 2)."""
    inverse = torch.linalg.inv(affine[:, :, :2])
    offset = -(inverse @ affine[:, :, 2:])  # (B, 2, 1)
    columns = inverse[:, :, :1] * torch.arange(width, device=affine.device) + offset  # (B, 2, W)
    rows = inverse[:, :, 1:] * torch.arange(height, device=affine.device)  # (B, 2, H)
    full = rows[..., :, None] + columns[..., None, :]  # (B, 2, H, W) coordinates in the full image
    limit = image_size[:, :, None, None] - 0.5
    return ((full >= -0.5) & (full < limit)).all(1)
