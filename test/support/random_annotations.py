"""Random annotations in InterHand2.6M's format, of any number of rows and without images, written as a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from lgnet_core.data.interhand26m.layout import SplitFiles

CAMERAS = 75
"""Cameras per time step; the real captures have 80 to 140."""


def write_annotations(folder: Path, rows: int, seed: int = 0) -> SplitFiles:
    """Write a split of ``rows`` images: sequences of 20 time steps seen by ``CAMERAS`` cameras, with random values.

    Images and annotations are written in different random orders.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    steps = -(-rows // CAMERAS)
    time_steps = [(step // 200, step // 20, 100 + 3 * step) for step in range(steps)]  # capture, sequence, frame
    paths = {kind: folder / f"{kind}.json" for kind in ("data", "camera", "joint_3d", "fits")}

    captures = {str(capture) for capture, _, _ in time_steps}
    cameras = {capture: _cameras(rng) for capture in sorted(captures)}
    paths["camera"].write_text(json.dumps(cameras))
    for kind, make in (("joint_3d", _step), ("fits", _fit)):
        with paths[kind].open("w") as file:
            _write_members(
                file, ((c, ((f, make(rng)) for cc, _, f in time_steps if cc == c)) for c in map(int, captures))
            )
    with paths["data"].open("w") as file:
        file.write('{"images": ')
        _write_list(file, (_image(int(k), *time_steps[k // CAMERAS]) for k in rng.permutation(rows)))
        file.write(', "annotations": ')
        _write_list(file, (_annotation(rng, int(k)) for k in rng.permutation(rows)))
        file.write("}")
    return SplitFiles(paths["data"], paths["camera"], paths["joint_3d"], folder / "images", fits=paths["fits"])


def _cameras(rng: np.random.Generator) -> dict[str, Any]:
    values = {"campos": (3,), "camrot": (3, 3), "focal": (2,), "princpt": (2,)}
    return {
        key: {str(400000 + camera): rng.normal(1000, 10, shape).tolist() for camera in range(CAMERAS)}
        for key, shape in values.items()
    }


def _step(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "world_coord": rng.normal(0, 500, (42, 3)).tolist(),
        "joint_valid": rng.integers(0, 2, (42, 1)).tolist(),
        "hand_type": "interacting",
        "hand_type_valid": True,
    }


def _fit(rng: np.random.Generator) -> dict[str, Any]:
    return {
        side: {"pose": rng.normal(size=48).tolist(), "shape": rng.normal(size=10).tolist(), "trans": [0.1, 0.2, 0.3]}
        for side in ("right", "left")
    }


def _image(number: int, capture: int, sequence: int, frame: int) -> dict[str, Any]:
    camera = str(400000 + number % CAMERAS)
    name = f"{sequence:04d}_made_up_sequence"
    return {
        "id": number,
        "file_name": f"Capture{capture}/{name}/cam{camera}/image{frame}.jpg",
        "width": 334,
        "height": 512,
        "capture": capture,
        "subject": 3,
        "seq_name": name,
        "camera": camera,
        "frame_idx": frame,
    }


def _annotation(rng: np.random.Generator, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": number,
        "bbox": rng.uniform(0, 300, 4).tolist(),
        "joint_valid": rng.integers(0, 2, 42).tolist(),
        "hand_type": ("right", "left", "interacting")[int(rng.integers(3))],
        "hand_type_valid": 1,
    }


def _write_list(file: IO[str], items: Iterator[Any]) -> None:
    for k, item in enumerate(items):
        file.write(("[" if k == 0 else ", ") + json.dumps(item))
    file.write("]")


def _write_members(file: IO[str], captures: Iterator[tuple[int, Iterator[tuple[int, Any]]]]) -> None:
    for k, (capture, frames) in enumerate(captures):
        file.write(("{" if k == 0 else ", ") + f'"{capture}": {{')
        for j, (frame, content) in enumerate(frames):
            file.write((", " if j else "") + f'"{frame}": {json.dumps(content)}')
        file.write("}")
    file.write("}")
