"""Real images with an index in the format of realhands."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from lgnet_core.data.clip import read_clip

CLIP_FRAMES = (0, 35)
"""Frames of the clip: one of both hands, one of the right hand alone."""


def half_size_frames() -> list[np.ndarray]:
    """The frames :data:`CLIP_FRAMES` of the clip at half size."""
    frames = read_clip().frames
    return [cv2.resize(frames[k], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for k in CLIP_FRAMES]


def write_real_images(root: Path, images: list[np.ndarray], source: str = "asl") -> Path:
    """Write images and an index with all of them in the train split."""
    (root / "images").mkdir(parents=True)
    rows = []
    for number, image in enumerate(images):
        name, (height, width) = f"{number}.png", image.shape[:2]
        cv2.imwrite(str(root / "images" / name), image[..., ::-1])
        rows.append({"file": name, "width": width, "height": height, "source": source, "split": "train", "boxes": None})
    (root / "index.json").write_text(json.dumps(rows))
    return root
