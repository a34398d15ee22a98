"""Weights of the loss terms, and the loss presets of each network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class LossWeights:
    r"""Weights of the terms in :mod:`lgnet_core.training.losses.terms`.

    Every term is a mean over its mask, with coordinates in metres (in cells for the grid, in half images for the
    projection); the mesh terms are summed over the rough and the refined mesh.

    LGNet has three main presets:

    ``paper``: as published. The mesh terms have the LGNet paper's weights (1, 1, 1, 1, 50); the terms that the paper
    omits but its heads require have EANet's (joint_grid, rotation, shape, projection, relative_translation: 1). The
    paper does not state its reductions, and no unit balances its weights: in metres the normal term (0.1 to 0.5,
    dimensionless) outweighs the mesh term (0.01) by a factor of 10 to 50 and the Laplacian (50 times some square
    millimetres) vanishes; in millimetres the Laplacian explodes. Use it to study the paper.

    ``default``: balanced for means in metres by the magnitude of each term's gradient at the vertices. Mesh and joints
    10 (an error of 10 mm contributes 0.1 each), normal 0.1, edge 1. The 2.5D joints have weight 5 and the relative
    translation 1 instead of the sources' 1 and 10, because all other outputs depend on the positions of the hands in
    the image. One short run each, 2,400 images without augmentation: 55.6 px of 256 with 1 and 10, 50.2 px with the
    joints trained alone; it was not shown separately that the relative translation is the cause. The Laplacian is
    squared, so its gradient fades with the error: with weight 1000 its gradient at the vertices is a fifth of the mesh
    term's for a wrong pose with 11 mm vertex error, and 0.4 of it for half a millimetre of roughness (weight 50 would
    give a hundredth). Presence has weight 0.5: single hands teach the network handedness, and until it is learnt, the
    joint terms are minimised by a position between two hands (perfect localisation without handedness still has a
    joint_grid error of 0.7 cells on two hands; a constant prediction has 1.0). The uncertainty term trains only its own
    head: the errors in it carry no gradient.

    ``joints``: 2.5D joints and presence only, for the first steps of a training on limited hardware: the positions of
    the hands are learnt faster alone (see above), and the mesh then starts from features that encode them.

    ``without-normal``, ``without-edge`` and ``without-laplacian``: ``default`` without one term.

    Sources: LGNet eqs 12 to 16; EANet's loss weights as confirmed by its author; the balance is our own measurement.
    """

    mesh: float = 10.0
    joint: float = 10.0
    normal: float = 0.1
    edge: float = 1.0
    laplacian: float = 1000.0
    joint_grid: float = 5.0
    rotation: float = 1.0
    shape: float = 0.1
    projection: float = 1.0
    relative_translation: float = 1.0
    presence: float = 0.5
    uncertainty: float = 0.01

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Weighted sum of the terms. Shapes: scalars."""
        return torch.stack([getattr(self, name) * term for name, term in terms.items()]).sum()


@dataclass(frozen=True)
class InterShapeLossWeights(LossWeights):
    """Weights including InterShape's own terms, see :mod:`lgnet_core.training.losses.intershape`.

    The weights convert the proportions of its authors' sums over all elements into means: joints 10 of 126 numbers,
    offsets 1 of 126, shape agreement 0.01 of 10, bones 100 of 30, shapes 0.1 of 20, prior 0.1 of 20. The authors train
    no other term than these and the heatmaps; ``joint_grid`` (on the joints decoded from the heatmaps), presence and
    uncertainty are ours.
    """

    mesh: float = 0.0
    joint: float = 0.0
    normal: float = 0.0
    edge: float = 0.0
    laplacian: float = 0.0
    joint_grid: float = 1.0
    rotation: float = 0.0
    shape: float = 0.0
    projection: float = 0.0
    relative_translation: float = 0.0
    heatmap: float = 1.0
    palm_joint: float = 10.0
    inter_hand: float = 1.0
    shape_agreement: float = 0.0008
    bone_length: float = 24.0
    intermediate_shape: float = 0.016
    prior: float = 0.016


AUXILIARY = "auxiliary"
"""Loss preset without any of these terms: the backbone alone is trained by the linear heads of
:mod:`lgnet_core.training.losses.auxiliary`.

First phase of a training on limited hardware: handedness is learnt fastest there, and a step takes half the time. Use
the resulting weights as ``initial`` of a training with ``default``.
"""

HEATMAPS = "heatmaps"
"""Loss preset of InterShape's heatmap network alone: the first of the two phases in which its authors train.

Use the resulting weights as ``initial`` of a training with ``default`` and ``freeze_heatmaps``.
"""

FORMER_LOSS_NAMES = {"direct": AUXILIARY}
"""Former names of loss presets, as recorded in weights files of earlier versions."""


def _only(weights: LossWeights, *names: str) -> LossWeights:
    """Copy with the weights of all other terms set to zero."""
    return replace(weights, **{term.name: 0.0 for term in fields(weights) if term.name not in names})


def _with_ablations(weights: LossWeights) -> dict[str, LossWeights]:
    """``default``, and without one of the mesh's regularising terms: rows of the paper's ablation."""
    terms = {f"without-{name}": replace(weights, **{name: 0.0}) for name in ("normal", "edge", "laplacian")}
    return {"default": weights, **terms}


_JOINTS = _only(LossWeights(), "joint_grid", "presence")

LOSS_PRESETS: dict[str, dict[str, LossWeights]] = {
    "lgnet": {
        **_with_ablations(LossWeights()),
        "joints": _JOINTS,
        "paper": LossWeights(mesh=1.0, joint=1.0, normal=1.0, edge=1.0, laplacian=50.0, joint_grid=1.0, shape=1.0),
    },
    # The relative translation is regressed from two separate crops, so it has more weight than where both hands are in
    # one crop. Presence is predicted by the landmark network: every crop of these terms shows a hand.
    "lgnet-hand": _with_ablations(LossWeights(relative_translation=5.0, presence=0.0)),
    "eanet": {
        # Its authors' weights in our units. The mesh term is halved because it is summed over both meshes, which are
        # identical here; the authors' joints_3d and the hand model's joints are the same; a cell is a quarter of half
        # an image.
        "default": LossWeights(
            mesh=0.5, normal=0.0, edge=0.0, laplacian=0.0, joint_grid=2.0, shape=1.0, projection=4.0
        ),
        "joints": _JOINTS,
        "lgnet": LossWeights(),
    },
    "intershape": {
        "default": InterShapeLossWeights(),
        HEATMAPS: _only(InterShapeLossWeights(), "heatmap", "joint_grid", "presence"),
    },
}
"""Loss presets by network kind. Each kind has a ``default``, balanced by us or by its authors."""


def loss_weights(preset: str, kind: str = "lgnet") -> LossWeights | None:
    """Weights of a loss preset; None for :data:`AUXILIARY`.

    Args:
        kind: ``kind`` of the network's configuration.

    Raises:
        ValueError: if the network kind has no such preset.
    """
    presets = LOSS_PRESETS[kind]
    if preset != AUXILIARY and preset not in presets:
        raise ValueError(
            f"loss preset {preset!r}: {kind} has no such preset; choose one of {sorted([*presets, AUXILIARY])}"
        )
    return presets.get(preset)
