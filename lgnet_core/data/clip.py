"""The bundled demo clip: a synthetic two-hand sequence with ground-truth joints and camera.

One npz: ``jpeg`` (N,) uint8, the concatenated JPEG files of all frames; ``ends`` (T,) end offset of each file;
``matrix`` (3, 3); ``size`` (2,) width, height; ``joints`` (T, 2, 21, 3) metres, camera frame; ``presence`` (T, 2) bool;
``frames_per_second`` ().
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lgnet_core.io.files import InputError
from lgnet_core.io.output import reason_of
from lgnet_core.types import Camera, FloatArray, ImageArray

BUNDLED_CLIP = Path(__file__).parents[1] / "assets" / "demo_clip.npz"


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames with their ground-truth hands.

    Shapes:
        frames: T images (H, W, 3) uint8 RGB; joints: (T, 2, 21, 3) metres, camera frame; presence: (T, 2) bool.
    """

    frames: list[ImageArray]
    camera: Camera
    joints: FloatArray
    presence: FloatArray
    frames_per_second: float


def ping_pong_indices(count: int) -> list[int]:
    """Frame indices of one forward and backward pass, so that a repeated clip has no jump between repetitions."""
    return [*range(count), *range(count - 2, 0, -1)]


def write_clip(path: str | Path, clip: Clip, quality: int = 85) -> None:
    """Write a clip as one npz; frames as JPEG of the given quality."""
    files = [cv2.imencode(".jpg", f[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].ravel() for f in clip.frames]
    np.savez(
        path,
        jpeg=np.concatenate(files),
        ends=np.cumsum([len(f) for f in files]),
        matrix=clip.camera.matrix,
        size=np.array([clip.camera.width, clip.camera.height]),
        joints=clip.joints.astype(np.float32),
        presence=clip.presence.astype(bool),
        frames_per_second=np.array(clip.frames_per_second),
    )


def read_clip(path: str | Path = BUNDLED_CLIP) -> Clip:
    """Read a clip.

    Raises:
        InputError: if the file is missing or not a clip.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        starts = np.concatenate([[0], arrays["ends"][:-1]])
        jpegs = [arrays["jpeg"][a:b] for a, b in zip(starts, arrays["ends"])]
        frames = [np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))[..., ::-1].copy() for jpeg in jpegs]
        camera = Camera(arrays["matrix"], int(arrays["size"][0]), int(arrays["size"][1]))
        rate = float(arrays["frames_per_second"])
        return Clip(frames, camera, arrays["joints"].astype(np.float64), arrays["presence"], rate)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, cv2.error) as error:
        raise InputError(f"{path}: missing, or not a demo clip ({reason_of(error)}); reinstall lgnet_ros") from error
