"""A small data set in the format of FreiHAND: crops of synthetic right hands with the numbers they were drawn from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import roma
import torch

from lgnet_core.data.freihand import IMAGE_SIZE, NUM_VERSIONS, SPLITS
from lgnet_core.data.sample import HandsBatch, HandsLabels
from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.types import Side


@dataclass
class SyntheticFreiHAND:
    """Root of the data set, and the images with every label."""

    root: Path
    split: str
    truth: HandsBatch
    labels: HandsLabels

    def path(self, kind: str) -> Path:
        return self.root / f"{SPLITS[self.split]}_{kind}.json"

    def image(self, index: int) -> Path:
        return self.root / SPLITS[self.split] / "rgb" / f"{index:08d}.jpg"

    def change(self, kind: str, change) -> None:
        """Rewrite one of the JSON files."""
        content = json.loads(self.path(kind).read_text())
        change(content)
        self.path(kind).write_text(json.dumps(content))


def write_freihand(
    root: Path, hand_model: HandModel, count: int = 4, split: str = "test", seed: int = 11
) -> SyntheticFreiHAND:
    """Write ``count`` samples; of the training split in all versions, each darker than the one before."""
    batch = SyntheticHands(seed, hand_model).crops(torch.arange(6 * count), IMAGE_SIZE[0])
    right_only = batch.presence[:, Side.RIGHT] & ~batch.presence[:, Side.LEFT]
    batch = batch[right_only.nonzero()[:count, 0]]
    assert len(batch) == count
    labels = batch.labels(hand_model)
    dataset = SyntheticFreiHAND(root, split, batch, labels)
    dataset.image(0).parent.mkdir(parents=True)
    for version in range(NUM_VERSIONS if split == "train" else 1):
        for k in range(count):
            pixels = batch.image[k].flip(0).permute(1, 2, 0).numpy() // (version + 1)
            cv2.imwrite(str(dataset.image(version * count + k)), np.ascontiguousarray(pixels))
    files: dict[str, Any] = {
        "K": batch.intrinsics.tolist(),
        "xyz": labels.joints[:, Side.RIGHT].tolist(),
        "verts": labels.vertices[:, Side.RIGHT].tolist(),
        "mano": [[fit] for fit in _fits(batch, labels, hand_model)],
        "scale": labels.joints[:, Side.RIGHT, 9].sub(labels.joints[:, Side.RIGHT, 10]).norm(dim=-1).tolist(),
    }
    for kind, content in files.items():
        dataset.path(kind).write_text(json.dumps(content))
    return dataset


def _fits(batch: HandsBatch, labels: HandsLabels, hand_model: HandModel) -> list[list[float]]:
    pose = roma.rotmat_to_rotvec(batch.rotations[:, Side.RIGHT]).flatten(1)
    pose[:, 3:] -= hand_model.hands_mean[Side.RIGHT]
    root = labels.joints_2d[:, Side.RIGHT, 9]
    scale = batch.intrinsics[:, 0, 0] / labels.joints[:, Side.RIGHT, 9, 2]
    return torch.cat([pose, batch.shape[:, Side.RIGHT], root, scale[:, None]], -1).tolist()
