"""How much each term of the loss weighs, and the presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class LossWeights:
    r"""Weights of the terms of :mod:`lgnet_core.training.losses.terms`; a weight of 0 leaves the term out.

    Every term is a mean over what its mask leaves, with coordinates in metres (the grid's in cells, the projection's in
    half images); the mesh terms are summed over the rough and the refined mesh.

    Three presets of LGNet:

    ``paper``: what the sources print. The mesh terms have the LGNet paper's weights (1, 1, 1, 1, 50); the terms that
    the paper leaves out but its heads need have EANet's (joint_grid, rotation, shape, projection,
    relative_translation: 1). The paper does not print its reductions, and no unit balances its weights: in metres the
    normal term (0.1 to 0.5, no unit) outweighs the mesh (0.01) by 10 to 50 times and the Laplacian (50 times some
    square millimetres) vanishes; in millimetres the Laplacian explodes. Use it to study the paper.

    ``default``: balanced for means in metres by what each term's gradient on the vertices amounts to. Mesh and joints
    10 (an error of 10 mm counts 0.1 each), normal 0.1, edge 1. The 2.5D joints weigh 5 and the relative translation 1,
    not the sources' 1 and 10: where the hands are in the image is what everything else is read from. One short run
    each, 2,400 images without augmentation: 55.6 px of 256 with 1 and 10, 50.2 px with the joints trained alone. That
    the relative translation is to blame was not shown by itself. The Laplacian is
    squared, so its gradient fades with the error: at 1000 the
    gradient on the vertices is a fifth of the mesh term's when a wrong pose puts them off by 11 mm, and 0.4 of it for
    half a millimetre of roughness (50 would give a hundredth). Presence weighs 0.5: one hand alone is what teaches the
    network to tell right from left, and until it can, the best that the joint terms allow is a place between two hands
    (a perfect localiser that does not know the sides still has 0.7 cells of joint_grid error on two hands, a constant
    1.0). Uncertainty is weighed to train its head only: its errors carry no gradient at all.

    ``joints``: the 2.5D joints and the presence alone, for the first steps of a training on little hardware: where the
    hands are was learnt sooner by itself (see above), and the mesh then starts from features that know it.

    Besides, ``without-normal``, ``without-edge`` and ``without-laplacian``: ``default`` less one term.

    Sources: LGNet eqs 12 to 16; EANet's loss weights as its author confirmed them; the balance is our own measurement.
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
        """Weighted sum of some of the terms. Shapes: scalars."""
        return torch.stack([getattr(self, name) * term for name, term in terms.items()]).sum()


@dataclass(frozen=True)
class InterShapeLossWeights(LossWeights):
    """With InterShape's own terms, see :mod:`lgnet_core.training.losses.intershape`.

    The weights keep the proportions of its authors' sums over all elements, put into means: joints 10 of 126 numbers,
    offsets 1 of 126, agreement of the shapes 0.01 of 10, bones 100 of 30, shapes 0.1 of 20, prior 0.1 of 20. They train
    no other term but the heatmaps; ``joint_grid`` (the heatmaps, as they are read), presence and uncertainty are ours.
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
    answer_shape: float = 0.016
    prior: float = 0.016


AUXILIARY = "direct"
"""No weights of these terms: the backbone alone, by the linear heads of :mod:`lgnet_core.training.losses.auxiliary`.

The first phase of a training on little hardware, since right and left are learnt there soonest and at twice the speed.
Give the result as ``initial`` of a training with ``default``.
"""

HEATMAPS = "heatmaps"
"""InterShape's heatmap network alone: the first of two phases, as its authors train it.

Give the result as ``initial`` of a training with ``default`` and ``freeze_heatmaps``.
"""


def _only(weights: LossWeights, *names: str) -> LossWeights:
    """The same with every other term left out."""
    return replace(weights, **{term.name: 0.0 for term in fields(weights) if term.name not in names})


_JOINTS = _only(LossWeights(), "joint_grid", "presence")

LOSS_PRESETS: dict[str, dict[str, LossWeights]] = {
    "lgnet": {
        "default": LossWeights(),
        "joints": _JOINTS,
        "paper": LossWeights(mesh=1.0, joint=1.0, normal=1.0, edge=1.0, laplacian=50.0, joint_grid=1.0, shape=1.0),
        "without-normal": LossWeights(normal=0.0),
        "without-edge": LossWeights(edge=0.0),
        "without-laplacian": LossWeights(laplacian=0.0),
    },
    "lgnet-hand": {
        # How the hands lie to each other is read off two crops, so it weighs more than where it is in the pixels.
        # Presence is the landmark network's: every crop that these terms see is of a hand.
        "default": LossWeights(relative_translation=5.0, presence=0.0),
    },
    "eanet": {
        # Its authors' weights in our units: no mesh but the joints', each mesh term counted for both meshes, which are
        # one here; joints_3d and those of the hand model are the same; a cell is a quarter of half an image.
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
"""By the kind of the network: each has its ``default``, which is balanced for it or its authors' own."""


def loss_weights(preset: str, kind: str = "lgnet") -> LossWeights | None:
    """The weights of a preset; None for :data:`AUXILIARY`.

    Args:
        kind: of the network, as its configuration says.

    Raises:
        ValueError: if there is no such preset for this kind.
    """
    presets = LOSS_PRESETS[kind]
    if preset != AUXILIARY and preset not in presets:
        raise ValueError(
            f"loss preset {preset!r}: {kind} has no such preset; choose one of {sorted([*presets, AUXILIARY])}"
        )
    return presets.get(preset)
