"""A small data set in the format of HIC: synthetic images of 640 x 480 with their meshes as PLY."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import torch

from lgnet_core.data.hic import IMAGE_SIZE, INTRINSICS
from lgnet_core.data.sample import HandsBatch, HandsLabels
from lgnet_core.hand_model import HandModel
from lgnet_core.io.meshes import write_ply
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.types import Side

MESHES = "IJCV16___Results_MANO___parms_for___joints21"


@dataclass
class SyntheticHIC:
    """Content of the data set: ``content`` of HIC.json; ground truth in HIC's camera, in the order of ``names``."""

    root: Path
    content: dict[str, Any]
    truth: HandsBatch
    labels: HandsLabels
    names: list[str]

    def copied(self, root: Path) -> SyntheticHIC:
        """A copy that a test may modify."""
        shutil.copytree(self.root, root)
        return replace(self, root=root, content=copy.deepcopy(self.content))


def write_hic(root: Path, hand_model: HandModel, count: int = 6, seed: int = 5) -> SyntheticHIC:
    """Write ``count`` images in two sequences, each with at least one hand.

    The hands are transformed so that HIC's only camera sees them where the image shows them: a point (x, y, z) of a
    camera with another K becomes K_HIC^-1 K (x, y, z), which distorts the hands slightly.
    """
    generator = SyntheticHands(seed, hand_model)
    batch = generator.images(torch.arange(2 * count + 4), *IMAGE_SIZE)
    batch = batch[torch.argsort((batch.presence.sum(1) == 0).int(), stable=True)[:count]]
    labels = batch.labels(hand_model)
    to_hic_camera = torch.linalg.inv(torch.from_numpy(INTRINSICS)).float() @ batch.intrinsics  # (B, 3, 3)
    vertices = labels.vertices @ to_hic_camera[:, None].mT
    joints = hand_model.joints_from_vertices(vertices)
    labels = labels._replace(vertices=vertices, joints=joints)

    names = []
    content: dict[str, Any] = {"images": [], "annotations": []}
    for k in range(count):
        sequence, frame = f"{1 + k % 2:02d}", f"{k:04d}"
        names.append(f"{sequence}/rgb/{frame}.png")
        path = root / names[k]
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), batch.image[k].flip(0).permute(1, 2, 0).numpy())
        meshes: dict[str, str | None] = {}
        for side in Side:
            mesh = f"{MESHES}/{sequence}/{frame}_{side.label}.ply"
            meshes[f"{side.label}_mano_path"] = mesh if batch.presence[k, side] else None
            if batch.presence[k, side]:
                (root / mesh).parent.mkdir(parents=True, exist_ok=True)
                write_ply(root / mesh, vertices[k, side].numpy(), hand_model.faces[side].numpy())
        sides = [side.label for side in Side if batch.presence[k, side]]
        hand_type = "interacting" if len(sides) == 2 else sides[0]
        content["images"].append({"id": 50 + k, "file_name": names[k], "width": IMAGE_SIZE[0], "height": IMAGE_SIZE[1]})
        content["annotations"].append({"id": 90 - k, "image_id": 50 + k, "hand_type": hand_type, **meshes})
    (root / "HIC.json").write_text(json.dumps(content))
    return SyntheticHIC(root, content, batch, labels, names)
