"""A small data set in the format of InterHand2.6M: synthetic images with exact labels.

Every image has its own camera with a random pose in the world of its capture, and the MANO fits that the image was
rendered from. Every third camera is greyscale.
"""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import roma
import torch

from lgnet_core.data.interhand26m.layout import OPENPOSE_FROM_INTERHAND
from lgnet_core.data.sample import HandsBatch, HandsLabels
from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.types import Side


@dataclass
class SyntheticInterHand:
    """Content of the data set.

    Args:
        root: of the data set. truth: the full images with every label, in the order of ``names``.
        data, camera, joints, fits: contents of the JSON files; to change them, modify and call :meth:`write`.
    """

    root: Path
    split: str
    truth: HandsBatch
    labels: HandsLabels
    names: list[str]
    data: dict[str, Any]
    camera: dict[str, Any]
    joints: dict[str, Any]
    fits: dict[str, Any]

    def copied(self, root: Path) -> SyntheticInterHand:
        """A copy that a test may modify."""
        shutil.copytree(self.root, root)
        files = (self.data, self.camera, self.joints, self.fits)
        return SyntheticInterHand(root, self.split, self.truth, self.labels, self.names, *map(copy.deepcopy, files))

    def file(self, kind: str) -> Path:
        return self.root / "annotations" / self.split / f"InterHand2.6M_{self.split}_{kind}.json"

    def write(self) -> None:
        for kind, content in (
            ("data", self.data),
            ("camera", self.camera),
            ("joint_3d", self.joints),
            ("MANO_NeuralAnnot", self.fits),
        ):
            self.file(kind).parent.mkdir(parents=True, exist_ok=True)
            self.file(kind).write_text(json.dumps(content))


def write_interhand(
    root: Path,
    hand_model: HandModel,
    count: int = 8,
    split: str = "test",
    size: tuple[int, int] = (167, 256),
    seed: int = 3,
) -> SyntheticInterHand:
    """Write a split of ``count`` images with at least one hand each, every other one in annotation set H."""
    batch = _images(hand_model, count, size, seed)
    labels = batch.labels(hand_model)
    generator = torch.Generator().manual_seed(seed)
    rotations = roma.random_rotmat(count, generator=generator, dtype=torch.float64)
    positions = torch.randn(count, 3, generator=generator, dtype=torch.float64)

    dataset = SyntheticInterHand(root, split, batch, labels, [], {"images": [], "annotations": []}, {}, {}, {})
    human = []
    for k in range(count):
        capture, camera, frame = str(k % 2), f"4{int(k % 3 == 2)}{k:04d}", str(1000 + 10 * k)
        dataset.names.append(f"Capture{capture}/000{k // 4}_made/cam{camera}/image{frame}.jpg")
        _write_image(root / "images" / split / dataset.names[k], batch.image[k], grey=k % 3 == 2)
        _add_camera(dataset.camera.setdefault(capture, {}), camera, rotations[k], positions[k], batch.intrinsics[k])
        to_world = (rotations[k].T, positions[k])
        step = _step(labels.joints[k], batch.presence[k], to_world)
        dataset.joints.setdefault(capture, {})[frame] = step
        dataset.fits.setdefault(capture, {})[frame] = _fits(hand_model, batch, k, to_world)
        number = 7_000_000 - 11 * k
        dataset.data["images"].append(
            {
                "id": number,
                "file_name": dataset.names[k],
                "width": size[0],
                "height": size[1],
                "capture": int(capture),
                "subject": 0,
                "seq_name": f"000{k // 4}_made",
                "camera": camera,
                "frame_idx": int(frame),
            }
        )
        shown = labels.joints_2d[k][batch.presence[k]].reshape(-1, 2)
        low, high = shown.amin(0), shown.amax(0)
        dataset.data["annotations"].append(
            {
                "id": number + 1,
                "image_id": number,
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "joint_valid": [flag[0] for flag in step["joint_valid"]],
                "hand_type": step["hand_type"],
                "hand_type_valid": 1,
            }
        )
        human += [number + 1] if k % 2 else []
    dataset.write()
    if split != "val":
        (root / "annotations" / f"aid_human_annot_{split}.txt").write_text("".join(f"{n}\n" for n in human))
    return dataset


def _images(hand_model: HandModel, count: int, size: tuple[int, int], seed: int) -> HandsBatch:
    generator = SyntheticHands(seed, hand_model)
    batch = generator.images(torch.arange(2 * count + 4), *size)
    order = torch.argsort((batch.presence.sum(1) == 0).int(), stable=True)[:count]
    assert batch.presence[order].any(1).all()
    return batch[order]


def _write_image(path: Path, image: torch.Tensor, grey: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = image.flip(0).permute(1, 2, 0).numpy()
    cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if grey else pixels)


def _add_camera(capture: dict[str, Any], name: str, rotation: Any, position: Any, intrinsics: Any) -> None:
    k = intrinsics.double()
    for key, value in (
        ("campos", position * 1000),
        ("camrot", rotation),
        ("focal", torch.stack([k[0, 0], k[1, 1]])),
        ("princpt", k[:2, 2]),
    ):
        capture.setdefault(key, {})[name] = value.tolist()


def _step(joints: torch.Tensor, presence: torch.Tensor, to_world: tuple[Any, Any]) -> dict[str, Any]:
    rotation, position = to_world
    world = (joints.double() @ rotation.T + position) * 1000  # (2, 21, 3)
    theirs = np.empty((2, 21, 3))
    theirs[:, OPENPOSE_FROM_INTERHAND] = world.numpy()
    sides = [side.label for side in Side if presence[side]]
    return {
        "world_coord": theirs.reshape(42, 3).tolist(),
        "joint_valid": [[int(flag)] for flag in np.repeat(presence.numpy(), 21)],
        "hand_type": "interacting" if len(sides) == 2 else sides[0],
        "hand_type_valid": True,
    }


def _fits(hand_model: HandModel, batch: HandsBatch, k: int, to_world: tuple[Any, Any]) -> dict[str, Any]:
    rotation, position = to_world
    rotations = batch.rotations[k].double().clone()  # (2, 16, 3, 3)
    rotations[:, 0] = rotation @ rotations[:, 0]
    pose = roma.rotmat_to_rotvec(rotations).flatten(1)  # (2, 48)
    pose[:, 3:] -= hand_model.hands_mean.double()
    wrist = batch.wrist[k].double() @ rotation.T + position
    translation = wrist - hand_model.rest_wrist(batch.shape[k]).double()
    return {
        side.label: {
            "pose": pose[side].tolist(),
            "shape": batch.shape[k, side].tolist(),
            "trans": translation[side].tolist(),
        }
        if batch.presence[k, side]
        else None
        for side in Side
    }
