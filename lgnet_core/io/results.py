"""Estimated hands as files: JSON and npz with all values of an image, and a PLY mesh per hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lgnet_core.io.meshes import write_ply
from lgnet_core.io.output import replacing, write_text
from lgnet_core.types import JOINT_NAMES, Camera, FloatArray, Hand, Side, TwoHands


def hands_to_dict(hands: TwoHands, camera: Camera | None = None, **metadata: Any) -> dict[str, Any]:
    """Convert the hands to JSON types, without their meshes, which are in the PLY and npz files.

    The ``box`` of a hand is [left, top, right, bottom] in pixels, the smallest that holds its 21 joints; it may extend
    beyond the image.

    Args:
        metadata: additional entries (source, image size, weights, ...), placed first.
    """
    return {
        **metadata,
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
        "track_id": hand.track_id,
        "presence": round(float(hand.presence), 4),
        "box": _numbers(np.concatenate([hand.joints_2d.min(0), hand.joints_2d.max(0)]), digits=2),
        "joints": _numbers(hand.joints),
        "joints_2d": _numbers(hand.joints_2d, digits=2),
        "joint_std": _numbers(hand.joint_std),
        "rotations": _numbers(hand.rotations),
        "shape": _numbers(hand.shape),
    }


def _numbers(array: FloatArray | None, digits: int = 5) -> Any:
    return None if array is None else np.round(np.asarray(array, np.float64), digits).tolist()


def hands_to_arrays(hands: TwoHands) -> dict[str, FloatArray]:
    """Convert the hands to arrays for one npz file (load with ``allow_pickle=False``).

    Keys: ``metric`` (), ``presence`` (2,) NaN for a hand that was not detected, ``relative_translation`` (3,) NaN
    unless both were, and for each detected hand ``right_joints`` (21, 3), ``right_vertices`` (778, 3), ``right_faces``
    (1538, 3), ``right_joints_2d`` (21, 2), ``right_joint_std`` (21,), ``right_rotations`` (16, 3, 3), ``right_shape``
    (10,), or ``left_...``. Units and frames: :class:`~lgnet_core.types.Hand`.
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


def write_hands(folder: Path, name: str, hands: TwoHands, camera: Camera | None = None, **metadata: Any) -> list[Path]:
    """Write ``name.json``, ``name.npz`` and ``name_right.ply`` / ``name_left.ply``; returns the paths.

    The mesh file of a hand that is no longer detected is removed, so that all files describe the same result.

    Raises:
        OutputError: if a file cannot be written.
    """
    written = [folder / f"{name}.json", folder / f"{name}.npz"]
    write_text(written[0], json.dumps(hands_to_dict(hands, camera, **metadata)) + "\n")
    arrays: dict[str, Any] = hands_to_arrays(hands)
    with replacing(written[1]) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    for side in Side:
        (folder / f"{name}_{side.label}.ply").unlink(missing_ok=True)
    for hand in hands.hands:
        written.append(folder / f"{name}_{hand.side.label}.ply")
        write_ply(written[-1], hand.vertices, hand.faces)
    return written
