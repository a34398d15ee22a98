"""A user's MANO, from its two pickles or from ``smplx`` objects, to this project's hand assets.

MANO is the user's own (non-commercial licence, by registration) and never shipped.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from lgnet_core.hand_model.asset import (
    FILE_NAMES,
    NUM_MANO_JOINTS,
    NUM_VERTICES,
    HandAsset,
    HandModelError,
    asset_from_arrays,
)
from lgnet_core.hand_model.mano_pickle import read_mano_pickle
from lgnet_core.types import Side

LEFT_FAULT = (
    "MANO's left hand is published with the wrong sign on the first coordinate of its shape directions, so that a hand "
    "that should grow thicker grows thinner (github.com/vchoutas/smplx, issue 48)"
)


@dataclass(frozen=True)
class ManoConversion:
    """What :func:`convert_mano` did.

    Args:
        right, left: the files written.
        left_shapedirs_corrected: whether the known fault of the left hand was found, and corrected.
        messages: the same for a person, one sentence each.
    """

    right: Path
    left: Path
    left_shapedirs_corrected: bool
    messages: tuple[str, ...]


def convert_mano(right_pickle: str | Path, left_pickle: str | Path, directory: str | Path) -> ManoConversion:
    """Read MANO_RIGHT.pkl and MANO_LEFT.pkl without running them; write hand_right.npz and hand_left.npz.

    Nothing is written unless both files are good.

    Raises:
        FileNotFoundError: if a pickle is missing.
        HandModelError: if a file is not MANO's hand of that side, or asks for anything but arrays.
    """
    sources = {Side.RIGHT: Path(right_pickle), Side.LEFT: Path(left_pickle)}
    hands = {}
    for side, source in sources.items():
        hands[side] = asset_from_arrays({**read_mano_pickle(source), "name": "MANO"}, str(source))
        seen = hand_side(hands[side])
        if seen is side.other:
            raise HandModelError(
                f"{source}: this is a {seen.label} hand, given as the {side.label} one; "
                "give first MANO_RIGHT.pkl, then MANO_LEFT.pkl"
            )
    left, corrected = correct_left_shapedirs(hands[Side.RIGHT], hands[Side.LEFT])
    hands[Side.LEFT] = left
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    written = {side: directory / FILE_NAMES[side] for side in Side}
    for side, path in written.items():
        partial = path.with_name(f".{path.stem}.partial.npz")
        hands[side].write(partial)
        os.replace(partial, path)
    return ManoConversion(
        right=written[Side.RIGHT],
        left=written[Side.LEFT],
        left_shapedirs_corrected=corrected,
        messages=(
            *(f"{side.label} hand: {sources[side]} -> {path}" for side, path in written.items()),
            f"corrected: {LEFT_FAULT}; its sign was turned"
            if corrected
            else "left shape directions: right as given, nothing to correct",
        ),
    )


def correct_left_shapedirs(right: HandAsset, left: HandAsset) -> tuple[HandAsset, bool]:
    r"""The left hand with mirrored shape directions, and whether they had to be corrected.

    The mirror image of a right hand has :math:`S_L^x = -S_R^x`; the faulty files have :math:`S_L^x = S_R^x`. The fault
    is there if the first coordinates lie nearer to equal than to opposite, which on MANO's files is the common rule
    (the sum of absolute differences is below 1) and needs no scale. Source: smplx issue 48; InterHand2.6M's
    annotations were fitted with the correction.
    """
    right_x, left_x = right.shapedirs[:, 0], left.shapedirs[:, 0]
    if np.abs(left_x - right_x).sum() >= np.abs(left_x + right_x).sum():
        return left, False
    sign = np.array([-1.0, 1.0, 1.0], np.float32)
    return replace(left, shapedirs=left.shapedirs * sign[:, None]), True


def hand_side(hand: HandAsset) -> Side | None:
    """Which hand the arrays are, from the rest pose and the mean pose; None if the mean pose is flat.

    Seen with the fingers ahead and the thumb to a side, the mean pose curls the fingers to the palm, and the palm is
    down on a right hand whose thumb is on the left. Independent of the axes the file uses.
    """
    joints = (hand.J_regressor @ hand.v_template).astype(np.float64)
    knuckles = joints[[1, 4, 10, 7]]  # index, middle, ring, pinky
    ahead = knuckles.mean(0) - joints[0]
    thumbward = knuckles[0] - knuckles[3]
    curl = hand.hands_mean.reshape(NUM_MANO_JOINTS - 1, 3)[:12].astype(np.float64).mean(0)  # all but the thumb's joints
    palmward = np.cross(curl, ahead)
    turn = float(np.dot(np.cross(ahead, thumbward), palmward))
    if abs(turn) < 0.05 * np.linalg.norm(ahead) ** 2 * np.linalg.norm(thumbward):
        return None
    return Side.RIGHT if turn < 0 else Side.LEFT


def assets_from_smplx(models: Any) -> tuple[HandAsset, ...]:
    """The arrays of a user's ``smplx.MANO`` or ``smplx.MANOLayer``: (right,), or (right, left) from such a pair.

    ``smplx`` itself is not imported. A left hand with MANO's fault is corrected in the copy, with a warning.

    Raises:
        ValueError: if it is a left hand alone, or the pair is not (right, left).
        TypeError: if the objects are not smplx hands.
    """
    pair = tuple(models) if isinstance(models, (tuple, list)) else (models,)
    sides = [getattr(model, "is_rhand", None) for model in pair]
    if None in sides or len(pair) > 2:
        raise TypeError(f"from_smplx: expected a smplx.MANO object or a pair (right, left), got {models!r:.200}")
    if sides != [True, False][: len(pair)] or not pair:
        raise ValueError("from_smplx: give the right hand, or the pair (right, left) in this order")
    right, *others = (_smplx_asset(model) for model in pair)
    if not others:
        return (right,)
    left, corrected = correct_left_shapedirs(right, others[0])
    if corrected:
        warnings.warn(f"{LEFT_FAULT}; corrected in this hand model, not in your object", stacklevel=3)
    return right, left


def _smplx_asset(model: Any) -> HandAsset:
    def array(value: Any) -> np.ndarray:
        return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)

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
        raise TypeError(f"from_smplx: {type(model).__name__} is no smplx.MANO object ({error})") from error
    return asset_from_arrays(arrays, f"smplx {type(model).__name__}")
