"""Conversion of MANO, from its two pickles or from ``smplx`` objects, to hand assets.

MANO is provided by the user (non-commercial licence, by registration) and never shipped.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lgnet_core.hand_model.asset import (
    FILE_NAMES,
    NUM_MANO_JOINTS,
    NUM_VERTICES,
    HandAsset,
    HandModelError,
    asset_from_arrays,
)
from lgnet_core.hand_model.mano_pickle import read_mano_pickle
from lgnet_core.io.output import make_folder
from lgnet_core.types import Side

LEFT_SHAPEDIRS_FAULT = (
    "MANO's left hand is published with the wrong sign on the first coordinate of its shape directions, so that shape "
    "coefficients which should thicken a hand make it thinner (github.com/vchoutas/smplx, issue 48)"
)


@dataclass(frozen=True)
class ManoConversion:
    """Result of :func:`convert_mano`.

    Args:
        right, left: the files written.
        left_shapedirs_corrected: whether the known fault of the left hand was present and corrected.
        messages: human-readable summary, one sentence each.
    """

    right: Path
    left: Path
    left_shapedirs_corrected: bool
    messages: tuple[str, ...]


def convert_mano(right_pickle: str | Path, left_pickle: str | Path, directory: str | Path) -> ManoConversion:
    """Convert MANO_RIGHT.pkl and MANO_LEFT.pkl, without executing them, to hand_right.npz and hand_left.npz.

    Nothing is written unless both files are valid.

    Raises:
        FileNotFoundError: if a pickle is missing.
        HandModelError: if a file is not a MANO hand of that side, or refers to anything but arrays.
    """
    sources = {Side.RIGHT: Path(right_pickle), Side.LEFT: Path(left_pickle)}
    hands = {}
    for side, source in sources.items():
        hands[side] = asset_from_arrays({**read_mano_pickle(source), "name": "MANO"}, str(source))
        detected = hand_side(hands[side])
        if detected is side.other:
            raise HandModelError(
                f"{source}: this is a {detected.label} hand, passed as the {side.label} one; "
                "pass MANO_RIGHT.pkl first, then MANO_LEFT.pkl"
            )
    left, corrected = correct_left_shapedirs(hands[Side.RIGHT], hands[Side.LEFT])
    hands[Side.LEFT] = left
    directory = Path(directory)
    make_folder(directory)
    written = {side: directory / FILE_NAMES[side] for side in Side}
    for side, path in written.items():
        hands[side].write(path)
    return ManoConversion(
        right=written[Side.RIGHT],
        left=written[Side.LEFT],
        left_shapedirs_corrected=corrected,
        messages=(
            *(f"{side.label} hand: {sources[side]} -> {path}" for side, path in written.items()),
            f"corrected: {LEFT_SHAPEDIRS_FAULT}; the sign was flipped"
            if corrected
            else "left shape directions: correct, nothing to do",
        ),
    )


def correct_left_shapedirs(right: HandAsset, left: HandAsset) -> tuple[HandAsset, bool]:
    r"""Correct the sign of the left shape directions if needed; returns the hand and whether it was corrected.

    The mirror image of a right hand has :math:`S_L^x = -S_R^x`; the faulty files have :math:`S_L^x = S_R^x`. The fault
    is present if the first coordinates are closer to equal than to opposite. On MANO's files this agrees with the usual
    test (sum of absolute differences below 1), but it is independent of scale. Source: smplx issue 48; the annotations
    of InterHand2.6M were fitted with the correction.
    """
    right_x, left_x = right.shapedirs[:, 0], left.shapedirs[:, 0]
    if np.abs(left_x - right_x).sum() >= np.abs(left_x + right_x).sum():
        return left, False
    sign = np.array([-1.0, 1.0, 1.0], np.float32)
    return replace(left, shapedirs=left.shapedirs * sign[:, None]), True


def hand_side(hand: HandAsset) -> Side | None:
    """Determine the side of a hand from its rest pose and mean pose; None if the mean pose is flat.

    The mean pose curls the fingers towards the palm. With the fingers pointing forward and the thumb on the left, the
    palm of a right hand faces down. Independent of the coordinate axes of the file.
    """
    joints = (hand.J_regressor @ hand.v_template).astype(np.float64)
    knuckles = joints[[1, 4, 10, 7]]  # index, middle, ring, pinky
    forward = knuckles.mean(0) - joints[0]
    thumbward = knuckles[0] - knuckles[3]
    curl = hand.hands_mean.reshape(NUM_MANO_JOINTS - 1, 3)[:12].astype(np.float64).mean(0)  # without the thumb
    palmward = np.cross(curl, forward)
    handedness = float(np.dot(np.cross(forward, thumbward), palmward))
    if abs(handedness) < 0.05 * np.linalg.norm(forward) ** 2 * np.linalg.norm(thumbward):
        return None
    return Side.RIGHT if handedness < 0 else Side.LEFT


def assets_from_smplx(models: Any) -> tuple[HandAsset, ...]:
    """Assets of ``smplx.MANO`` or ``smplx.MANOLayer`` objects: (right,), or (right, left) from a pair.

    ``smplx`` itself is not imported. The shape directions of a faulty MANO left hand are corrected in the copy, with a
    warning.

    Raises:
        ValueError: if it is a left hand alone, or the pair is not (right, left).
        TypeError: if the objects are not smplx hands.
    """
    pair = tuple(models) if isinstance(models, (tuple, list)) else (models,)
    sides = [getattr(model, "is_rhand", None) for model in pair]
    if None in sides or len(pair) > 2:
        raise TypeError(f"from_smplx: expected a smplx.MANO object or a pair (right, left), got {models!r:.200}")
    if sides != [True, False][: len(pair)] or not pair:
        raise ValueError("from_smplx: pass the right hand, or the pair (right, left) in this order")
    right, *others = (_smplx_asset(model) for model in pair)
    if not others:
        return (right,)
    left, corrected = correct_left_shapedirs(right, others[0])
    if corrected:
        warnings.warn(f"{LEFT_SHAPEDIRS_FAULT}; corrected in this hand model, not in the smplx object", stacklevel=3)
    return right, left


def _smplx_asset(model: Any) -> HandAsset:
    def array(value: Any) -> np.ndarray:
        return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)

    try:
        arrays = {
            "v_template": array(model.v_template),
            "shapedirs": array(model.shapedirs),
            "posedirs": array(model.posedirs).T.reshape(NUM_VERTICES, 3, -1),
            "J_regressor": array(model.J_regressor),
            "weights": array(model.lbs_weights),
            "kintree_table": np.stack([array(model.parents), np.arange(len(model.parents))]),
            "f": array(model.faces_tensor),
            "hands_mean": array(model.hand_mean),
            "hands_components": array(model.np_hand_components),
            "name": "smplx",
        }
    except (AttributeError, ValueError) as error:
        raise TypeError(f"from_smplx: {type(model).__name__} is not a smplx.MANO object ({error})") from error
    return asset_from_arrays(arrays, f"smplx {type(model).__name__}")
