"""Hands on disk: a PLY mesh per hand, and all numbers of an image as JSON (for people) and npz (for programs)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lgnet_core.types import JOINT_NAMES, Camera, FloatArray, Hand, Side, TwoHands


def write_ply(path: str | Path, vertices: FloatArray, faces: FloatArray) -> None:
    """Write a triangle mesh as binary PLY.

    Shapes:
        vertices: (V, 3) metres; faces: (F, 3) indices, counter-clockwise seen from outside.
    """
    header = (
        "ply\nformat binary_little_endian 1.0\ncomment metres\n"
        f"element vertex {len(vertices)}\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.empty(len(faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    Path(path).write_bytes(header.encode("ascii") + np.asarray(vertices, "<f4").tobytes() + rows.tobytes())


def hands_to_dict(hands: TwoHands, camera: Camera | None = None, **about: Any) -> dict[str, Any]:
    """The hands as JSON types. Meshes are left out: they are in the PLY and npz files.

    Args:
        about: what else to say (source, size of the image, weights, ...); stands at the top.
    """
    return {
        **about,
        "frame": "camera optical frame, metres" if hands.metric else "each hand's own wrist, camera axes, metres",
        "metric": hands.metric,
        "camera": None
        if camera is None
        else {
            "matrix": camera.matrix.tolist(),
            "distortion": camera.distortion.tolist(),
            "width": camera.width,
            "height": camera.height,
        },
        "joint_names": list(JOINT_NAMES),
        "hands": [_hand_to_dict(hand) for hand in hands.hands],
        "relative_translation": _numbers(hands.relative_translation),
    }


def _hand_to_dict(hand: Hand) -> dict[str, Any]:
    return {
        "side": hand.side.label,
        "presence": round(float(hand.presence), 4),
        "joints": _numbers(hand.joints),
        "joints_2d": _numbers(hand.joints_2d, digits=2),
        "joint_std": _numbers(hand.joint_std),
        "rotations": _numbers(hand.rotations),
        "shape": _numbers(hand.shape),
    }


def _numbers(array: FloatArray | None, digits: int = 5) -> Any:
    return None if array is None else np.round(np.asarray(array, np.float64), digits).tolist()


def hands_to_arrays(hands: TwoHands) -> dict[str, FloatArray]:
    """The hands as arrays for one npz (load with ``allow_pickle=False``).

    Keys: ``metric`` (), ``presence`` (2,) NaN where no hand was seen, ``relative_translation`` (3,) NaN unless both
    were, and per hand seen ``right_joints`` (21, 3), ``right_vertices`` (778, 3), ``right_faces`` (1538, 3),
    ``right_joints_image`` (21, 2), ``right_joint_std`` (21,), ``right_rotations`` (16, 3, 3), ``right_shape`` (10,);
    ``left_...`` alike. Units and frames: :class:`~lgnet_core.types.Hand`.
    """
    arrays: dict[str, FloatArray] = {
        "metric": np.asarray(hands.metric),
        "presence": np.full(2, np.nan),
        "relative_translation": np.full(3, np.nan)
        if hands.relative_translation is None
        else np.asarray(hands.relative_translation),
    }
    for hand in hands.hands:
        arrays["presence"][hand.side] = hand.presence
        for key in ("joints", "vertices", "faces", "joints_2d", "joint_std", "rotations", "shape"):
            arrays[f"{hand.side.label}_{key}"] = np.asarray(getattr(hand, key))
    return arrays


def write_hands(folder: Path, name: str, hands: TwoHands, camera: Camera | None = None, **about: Any) -> list[Path]:
    """Write ``name.json``, ``name.npz`` and ``name_right.ply`` / ``name_left.ply``; returns the paths.

    A mesh of an earlier run whose hand is not seen any more is removed, so that the files always tell one story.

    Raises:
        OSError: if a file cannot be written.
    """
    written = [folder / f"{name}.json", folder / f"{name}.npz"]
    written[0].write_text(json.dumps(hands_to_dict(hands, camera, **about)) + "\n")
    arrays: dict[str, Any] = hands_to_arrays(hands)
    np.savez_compressed(written[1], **arrays)
    for side in Side:
        (folder / f"{name}_{side.label}.ply").unlink(missing_ok=True)
    for hand in hands.hands:
        written.append(folder / f"{name}_{hand.side.label}.ply")
        write_ply(written[-1], hand.vertices, hand.faces)
    return written
