"""A folder of images and its index, as realhands has them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

FRAMES = (0, 35)  # of the clip: one of both hands, one of the right hand alone


def write_images(root: Path, images: list[np.ndarray]) -> Path:
    """A folder of real images, of the split train."""
    (root / "images").mkdir(parents=True)
    rows = []
    for number, image in enumerate(images):
        name, (height, width) = f"{number}.png", image.shape[:2]
        cv2.imwrite(str(root / "images" / name), image[..., ::-1])
        rows.append({"file": name, "width": width, "height": height, "source": "asl", "split": "train", "boxes": None})
    (root / "index.json").write_text(json.dumps(rows))
    return root
