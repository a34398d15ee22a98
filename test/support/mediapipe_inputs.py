"""Test images for MediaPipe's networks: an analytic one, as in tools/builders/read_mediapipe.py, and a photograph."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from support.paths import SHARED, missing


def analytic_image(size: int) -> Tensor:
    """The analytic image for which LiteRT's outputs are recorded. Shapes: (1, 3, S, S), [0, 1]."""
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    waves = torch.stack([torch.sin(x / 9 + y / 31), torch.cos(x / 17 - y / 7), torch.sin((x + y) / 23)])
    return waves[None] / 2 + 0.5


def photograph() -> NDArray[np.uint8]:
    """A left hand with its thumb up, 640 x 521, RGB; the test is skipped if the test data are missing."""
    path = SHARED / "testdata" / "hands" / "one_thumb.jpg"
    if not path.is_file():
        pytest.skip(missing(path))
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def tensor(image: NDArray[np.uint8]) -> Tensor:
    """Shapes: (H, W, 3) uint8 -> (1, 3, H, W), [0, 1]."""
    return torch.from_numpy(image).permute(2, 0, 1)[None] / 255
