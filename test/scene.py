"""A made-up scene whose truth is known, and an engine that answers with it, to test what is around a network."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from lgnet_core.camera import crop_intrinsics, invert_affine, project_distorted, transform_points
from lgnet_core.hand_model import HandModel
from lgnet_core.inference.engine import Engine
from lgnet_core.network import HandsPrediction
from lgnet_core.types import Camera


@dataclass(eq=False)
class Scene:
    """Two hands before a camera; a picture of it tells each pixel where it came from instead of showing hands.

    Shapes:
        joints: (2, 21, 3), vertices: (2, 778, 3) metres, camera frame; rotations: (2, 16, 3, 3); shape: (2, 10);
        presence: (2,) bool.
    """

    camera: Camera
    joints: np.ndarray
    vertices: np.ndarray
    rotations: np.ndarray
    shape: np.ndarray
    presence: np.ndarray
    picture: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        width, height = self.camera.width, self.camera.height
        self.picture = np.full((height, width, 3), 255, np.uint8)  # the last channel marks the inside
        rng = np.random.default_rng(0)
        for channel, ramp in enumerate((np.linspace(0, 255, width), np.linspace(0, 255, height)[:, None])):
            dither = rng.random((height, width), dtype=np.float32)  # else the steps of 8 bits bias every slope
            self.picture[..., channel] = np.clip(dither + ramp.astype(np.float32), 0, 255)

    @property
    def pixels(self) -> np.ndarray:
        """(2, 21, 2) where the camera sees the joints, its distortion included."""
        return np.stack([project_distorted(hand, self.camera) for hand in self.joints])

    @property
    def boxes(self) -> np.ndarray:
        """(2, 4) boxes of the joints, pixels."""
        return np.concatenate([self.pixels.min(1), self.pixels.max(1)], -1)


def make_scene(hand_model: HandModel, camera: Camera, wrists: np.ndarray, presence: tuple, seed: int = 0) -> Scene:
    """Randomly posed hands with their wrists at ``wrists`` (2, 3) metres, camera frame."""
    rng = np.random.default_rng(seed)
    rotations = Rotation.from_rotvec(rng.normal(0, 0.25, (32, 3))).as_matrix().reshape(2, 16, 3, 3)
    rotations[:, 0] = Rotation.random(2, random_state=seed).as_matrix()
    shape = rng.normal(0, 1, (2, 10))
    with torch.no_grad():
        mesh = hand_model(
            torch.tensor(rotations[None], dtype=torch.float32), torch.tensor(shape[None], dtype=torch.float32)
        ).wrist_relative()
    root = np.asarray(wrists, float)[:, None]
    vertices, joints = (points[0].double().numpy() + root for points in mesh)
    return Scene(camera, joints, vertices, rotations, shape, np.array(presence))


class SceneEngine(Engine):
    """Answers with a scene's truth, in the frame of each crop.

    Where a crop lies is read off its pixels, which 8 bits blur to some hundredths of a pixel. Made exact by the crop's
    intrinsics where the picture is undistorted (crops are upright then), or by the affines that the test expects.

    Args:
        affines: (N, 2, 3) picture -> crop that every call must bring, if the test knows them.

    Attributes:
        calibrated: set to False by tests that estimate without a camera.
        batches: how many crops each call brought.
        misfit: largest distance in crop pixels between the joints' true places and the given intrinsics' projection.
    """

    name, device, precision, image_size = "scene", "cpu", "fp32", 256

    def __init__(self, scene: Scene, affines: list[np.ndarray] | None = None) -> None:
        self.scene = scene
        self.affines = affines
        self.calibrated = True
        self.batches: list[int] = []
        self.misfit = 0.0

    def __call__(self, images: np.ndarray, intrinsics: np.ndarray) -> HandsPrediction:
        assert images.dtype == np.float32
        assert images.shape[1:] == (3, 256, 256)
        assert intrinsics.dtype == np.float32
        self.batches.append(len(images))
        affines = [self._affine(k, image, matrix) for k, (image, matrix) in enumerate(zip(images, intrinsics))]
        answers = [self._answer(affine, matrix) for affine, matrix in zip(affines, intrinsics)]
        return HandsPrediction(
            **{
                name: torch.tensor(np.stack([answer[name] for answer in answers]), dtype=torch.float32)
                for name in HandsPrediction._fields
            }
        )

    def _affine(self, k: int, image: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
        camera = self.scene.camera
        affine = read = _read_affine(image, camera)
        if self.affines is not None:
            affine = self.affines[k]
        elif not camera.distortion.any() and self.calibrated:
            affine = (intrinsics @ np.linalg.inv(camera.matrix))[:2]
        centre = transform_points(invert_affine(read), np.array([127.5, 127.5]))
        np.testing.assert_allclose(transform_points(affine, centre), [127.5, 127.5], atol=0.5)
        np.testing.assert_allclose(affine[:, :2], read[:, :2], atol=3e-3 * np.abs(read[:, :2]).max())
        return affine

    def _answer(self, affine: np.ndarray, intrinsics: np.ndarray) -> dict[str, np.ndarray]:
        scene = self.scene
        _, turn = crop_intrinsics(affine, np.eye(3))
        joints, vertices = scene.joints @ turn.T, scene.vertices @ turn.T
        pixels = transform_points(affine, scene.pixels)  # (2, 21, 2)
        inside = ((pixels >= -0.5) & (pixels <= 255.5)).all(-1).mean(-1)
        seen = scene.presence & (inside > 0.5)
        rays = joints[..., :2] / joints[..., 2:]
        projected = rays @ intrinsics[:2, :2].T + intrinsics[:2, 2]
        for side in np.flatnonzero(seen):
            self.misfit = max(self.misfit, float(np.linalg.norm(projected[side] - pixels[side], axis=-1).max()))
        wrist = joints[:, :1]
        rotations = scene.rotations.copy()
        rotations[:, 0] = turn @ rotations[:, 0]
        return {
            "joints_grid": np.concatenate([(pixels + 0.5) / 32 - 0.5, joints[..., 2:] * 0], -1),
            "joint_log_variance": np.full((2, 21), 2 * np.log(0.005)),
            "presence_logits": np.where(seen, 8.0, -8.0),
            "rotations": rotations,
            "shape": scene.shape,
            "camera": np.zeros((2, 3)),
            "rough_vertices": vertices - wrist,
            "rough_joints": joints - wrist,
            "vertices": vertices - wrist,
            "joints": joints - wrist,
            "relative_translation": joints[1, 0] - joints[0, 0],
        }


def _read_affine(image: np.ndarray, camera: Camera) -> np.ndarray:
    """(2, 3) picture -> crop, from the ramps that a scene's picture holds."""
    inside = image[2] > 0.999
    inside[1:-1, 1:-1] &= inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    v, u = np.nonzero(inside)
    crop = np.column_stack([u, v, np.ones(len(u))])
    picture = image[:2, v, u].T * np.array([camera.width - 1, camera.height - 1])
    inverse = np.linalg.lstsq(crop, picture.astype(float), rcond=None)[0].T  # (2, 3) crop -> picture
    linear = np.linalg.inv(inverse[:, :2])
    return np.column_stack([linear, -linear @ inverse[:, 2]])
