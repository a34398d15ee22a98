r"""Arrays of one parametric hand in MANO's format: validated reading, writing, mirroring and hashing.

Files have MANO's layout (the keys that ``smplx`` reads) as npz without pickled objects, plus two optional keys:
``tip_vertices`` (5,) and ``name``. Lengths are metres.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lgnet_core.io.output import reason_of, replacing

NUM_VERTICES, NUM_FACES, NUM_MANO_JOINTS, NUM_SHAPE_PARAMETERS = 778, 1538, 16, 10
NUM_POSE_FEATURES = 9 * (NUM_MANO_JOINTS - 1)

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
"""Parents of MANO's 16 joints: wrist, index 1-3, middle 1-3, pinky 1-3, ring 1-3, thumb 1-3."""

MANO_TIP_VERTICES = (745, 317, 444, 556, 673)
"""Fingertip vertices (thumb, index, middle, ring, pinky) of MANO's mesh. Source: manopth, IntagHand."""

BUNDLED_ASSET = Path(__file__).parent / "assets" / "hand_right.npz"

FILE_NAMES = ("hand_right.npz", "hand_left.npz")
"""Files of a hand model directory, by side."""

_SHAPES: dict[str, tuple[int, ...]] = {
    "v_template": (NUM_VERTICES, 3),
    "shapedirs": (NUM_VERTICES, 3, NUM_SHAPE_PARAMETERS),
    "posedirs": (NUM_VERTICES, 3, NUM_POSE_FEATURES),
    "J_regressor": (NUM_MANO_JOINTS, NUM_VERTICES),
    "weights": (NUM_VERTICES, NUM_MANO_JOINTS),
    "kintree_table": (2, NUM_MANO_JOINTS),
    "f": (NUM_FACES, 3),
    "hands_mean": (45,),
    "hands_components": (45, 45),
}
_INTEGER_KEYS = ("kintree_table", "f")
EQUALITY_TOLERANCE = 1e-4
"""Metres within which two hands count as equal: 1/50 of the error of MANO fits to images."""
_WEIGHT_TOLERANCE = 1e-3  # on weights that sum to 1: those of MANO do within 1e-6, those of a wrong array do not


class HandModelError(ValueError):
    """A hand model file or its arrays cannot be used; the message names the file, the problem and the remedy."""


@dataclass(frozen=True, eq=False)
class HandAsset:
    """Arrays of one hand, named as in MANO's files; metres, float32; rest pose in the axes of the model.

    Args:
        v_template: (778, 3) rest vertices.
        shapedirs: (778, 3, 10) displacement per unit of each shape coefficient.
        posedirs: (778, 3, 135) displacement per entry of the pose feature (R - 1 of joints 1-15, row-major).
        J_regressor: (16, 778) joints as weighted means of vertices.
        weights: (778, 16) skinning weights.
        faces: (1538, 3) vertex indices, outward winding.
        hands_mean: (45,) mean pose of joints 1-15, axis-angle.
        hands_components: (K <= 45, 45) principal components of the pose, axis-angle; unused by the layer.
        tip_vertices: (5,) fingertip vertices of thumb, index, middle, ring, pinky.
        name: display name of the hand model.
    """

    v_template: NDArray[np.float32]
    shapedirs: NDArray[np.float32]
    posedirs: NDArray[np.float32]
    J_regressor: NDArray[np.float32]
    weights: NDArray[np.float32]
    faces: NDArray[np.int64]
    hands_mean: NDArray[np.float32]
    hands_components: NDArray[np.float32]
    tip_vertices: NDArray[np.int64]
    name: str

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the arrays that determine the output of the layer: not the name and the pose components."""
        sha = hashlib.sha256()
        for field in fields(self):
            if field.name in ("name", "hands_components"):
                continue
            array = np.ascontiguousarray(getattr(self, field.name))
            sha.update(f"{field.name} {array.dtype.str} {array.shape}\n".encode())
            sha.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        return sha.hexdigest()

    def mirrored(self) -> HandAsset:
        r"""The hand of the other side: the mirror image v -> (-x, y, z).

        With S = diag(-1, 1, 1) a rotation R becomes S R S, so the entry (i, j) of the pose feature is multiplied by
        s_i s_j, an axis-angle (x, y, z) becomes (x, -y, -z), and pose coefficients keep their meaning.
        """
        sign = np.array([-1.0, 1.0, 1.0], np.float32)
        feature_sign = np.tile((sign[:, None] * sign).reshape(-1), NUM_MANO_JOINTS - 1)
        rotation_sign = np.tile(-sign, NUM_MANO_JOINTS - 1)
        return replace(
            self,
            v_template=self.v_template * sign,
            shapedirs=self.shapedirs * sign[:, None],
            posedirs=self.posedirs * sign[:, None] * feature_sign,
            faces=self.faces[:, ::-1].copy(),
            hands_mean=self.hands_mean * rotation_sign,
            hands_components=self.hands_components * rotation_sign,
        )

    def is_close(self, other: HandAsset) -> bool:
        """Whether vertices, joints and displacements of two hands agree within :data:`EQUALITY_TOLERANCE` metres.

        Faces are not compared, since they do not affect any position.
        """
        joints = [hand.J_regressor @ hand.v_template for hand in (self, other)]
        pairs = [(getattr(self, name), getattr(other, name)) for name in ("v_template", "shapedirs", "posedirs")]
        lengths_close = all(np.abs(a - b).max() <= EQUALITY_TOLERANCE for a, b in [*pairs, joints])
        dimensionless = [(getattr(self, name), getattr(other, name)) for name in ("weights", "hands_mean")]
        return bool(lengths_close and all(np.abs(a - b).max() <= _WEIGHT_TOLERANCE for a, b in dimensionless))

    def write(self, path: str | Path) -> None:
        """Write MANO's layout as a compressed npz without pickled objects; ``smplx`` reads it too (``ext="npz"``)."""
        parents = np.array([2**32 - 1, *PARENTS[1:]], np.int64)  # MANO stores -1 as an unsigned 32-bit number
        with replacing(Path(path)) as partial, partial.open("wb") as file:
            np.savez_compressed(
                file,
                v_template=self.v_template,
                shapedirs=self.shapedirs,
                posedirs=self.posedirs,
                J_regressor=self.J_regressor,
                weights=self.weights,
                kintree_table=np.stack([parents, np.arange(NUM_MANO_JOINTS)]),
                f=self.faces.astype(np.uint32),
                hands_mean=self.hands_mean,
                hands_components=self.hands_components,
                J=self.J_regressor @ self.v_template,
                bs_style=np.array("lbs"),
                bs_type=np.array("lrotmin"),
                tip_vertices=self.tip_vertices,
                name=np.array(self.name),
            )


def read_hand_assets(path: str | Path | None = None) -> tuple[HandAsset, ...]:
    """Read the right bundled hand, or the pair ``hand_right.npz`` and ``hand_left.npz`` of a directory.

    Args:
        path: directory written by ``lgnet mano convert``; None for the bundled hand (CC0).

    Returns:
        (right,) for the bundled hand, whose left hand is the mirror image, else (right, left).

    Raises:
        FileNotFoundError: if the directory or one of its files is missing.
        HandModelError: if a file does not hold a hand in MANO's format.
    """
    if path is None:
        return (read_asset(BUNDLED_ASSET),)
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(
            f"hand model {path}: no such directory; pass the one written by `lgnet mano convert RIGHT.pkl LEFT.pkl -o`"
        )
    return tuple(read_asset(path / name) for name in FILE_NAMES)


def read_asset(path: str | Path) -> HandAsset:
    """Read one hand from an npz in MANO's format; nothing in the file is executed.

    Raises:
        FileNotFoundError: if there is no such file.
        HandModelError: if the file is not an npz file, is truncated, or an array is invalid (named in the message).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"hand model {path}: no such file; convert the MANO pickles with `lgnet mano convert`")
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("a single array")
        with archive:
            known = {*_SHAPES, "tip_vertices", "name"}
            arrays = {key: archive[key] for key in archive.files if key in known}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise HandModelError(
            f"hand model {path}: not a readable npz ({reason_of(error)}); if it is a MANO pickle, convert it with "
            "`lgnet mano convert`, otherwise copy the file again"
        ) from error
    return asset_from_arrays(arrays, str(path))


def asset_from_arrays(arrays: Mapping[str, Any], origin: str) -> HandAsset:
    """Validate the arrays of a hand, keyed as in MANO's files, and convert their types.

    Shape components beyond the tenth are dropped, and faces with inward winding are flipped.

    Args:
        arrays: MANO's keys, and optionally ``tip_vertices`` (default :data:`MANO_TIP_VERTICES`) and ``name``.
        origin: source of the arrays, for error messages.

    Raises:
        HandModelError: if an array is missing, has another shape, is not finite, or does not describe a hand.
    """

    def invalid(problem: str) -> HandModelError:
        return HandModelError(
            f"hand model {origin}: {problem}; expected a hand in MANO's format (778 vertices, 16 joints, metres)"
        )

    missing = sorted(set(_SHAPES) - set(arrays))
    if missing:
        raise invalid(f"missing array {', '.join(missing)}")
    checked: dict[str, NDArray] = {}
    for key, shape in _SHAPES.items():
        array = np.asarray(arrays[key])
        if array.dtype.kind not in "fiu":
            raise invalid(f"{key} holds {array.dtype}, not numbers")
        if key == "shapedirs" and array.ndim == 3 and array.shape[2] > NUM_SHAPE_PARAMETERS:
            array = array[:, :, :NUM_SHAPE_PARAMETERS]
        if key == "hands_components" and array.ndim == 2 and array.shape[0] < 45:
            shape = (array.shape[0], 45)
        if array.shape != shape:
            raise invalid(f"{key} has shape {array.shape}, not {shape}")
        array = array.astype(np.int64 if key in _INTEGER_KEYS else np.float32)
        if not np.isfinite(array).all():
            raise invalid(f"{key} holds NaN or infinity")
        checked[key] = array

    if tuple(checked["kintree_table"][0, 1:]) != PARENTS[1:]:
        raise invalid(f"kintree_table has parents {checked['kintree_table'][0].tolist()}, not {list(PARENTS)}")
    for key, axis in (("J_regressor", 1), ("weights", 1)):
        if np.abs(checked[key].sum(axis) - 1).max() > _WEIGHT_TOLERANCE:
            raise invalid(f"the rows of {key} do not sum to 1")
    size = float(np.ptp(checked["v_template"], axis=0).max())
    if not 0.05 < size < 0.5:
        raise invalid(f"v_template has an extent of {size:.3g}, which is not a hand in metres")
    tips = np.asarray(arrays.get("tip_vertices", MANO_TIP_VERTICES))
    if tips.shape != (5,) or tips.dtype.kind not in "iu" or len(set(tips.tolist())) != 5:
        raise invalid("tip_vertices does not hold five different vertex indices")
    for key, indices in (("f", checked["f"]), ("tip_vertices", tips)):
        if indices.min() < 0 or indices.max() >= NUM_VERTICES:
            raise invalid(f"{key} refers to vertex {indices.max()}, outside 0..{NUM_VERTICES - 1}")

    return HandAsset(
        v_template=checked["v_template"],
        shapedirs=checked["shapedirs"],
        posedirs=checked["posedirs"],
        J_regressor=checked["J_regressor"],
        weights=checked["weights"],
        faces=_with_outward_faces(checked["f"], checked["v_template"]),
        hands_mean=checked["hands_mean"],
        hands_components=checked["hands_components"],
        tip_vertices=tips.astype(np.int64),
        name=str(arrays.get("name", Path(origin).stem)),
    )


def _with_outward_faces(faces: NDArray[np.int64], vertices: NDArray[np.float32]) -> NDArray[np.int64]:
    """Flip all faces if the volume that they enclose is negative."""
    a, b, c = np.moveaxis((vertices - vertices.mean(0)).astype(np.float64)[faces], 1, 0)
    return faces if np.einsum("ni,ni->", a, np.cross(b, c)) > 0 else faces[:, ::-1].copy()
