r"""The protocols of published figures, by the names of the works that used them, each as its code averages.

They differ in which joints are the truth (measured ones, or those of fitted surfaces), how hands are laid over each
other (:mod:`lgnet_core.evaluation.protocol`), what is averaged first, and which images count. Where all hands are
there and known, the averages agree; where some are missing they do not.

Sources: the evaluation code of each work. LGNet's is stated in its supplement only; what it leaves open is taken as
IntagHand has it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from enum import Enum

import torch
from torch import Tensor

from lgnet_core.evaluation.comparison import Comparison
from lgnet_core.evaluation.image_sets import CATEGORIES, Category, Labelled
from lgnet_core.evaluation.metrics import MRRPE, MaskedMean, mean_of_columns
from lgnet_core.evaluation.protocol import MCP_SCALED, MILLIMETRES, WRIST_RAW, WRIST_SCALED, Protocol
from lgnet_core.hand_model import HandModel
from lgnet_core.types import NUM_KEYPOINTS, WRIST, Side

INTERACTING, SINGLE = (Category.INTERACTING,), (Category.SINGLE,)
BOTH = (*SINGLE, *INTERACTING)


class Truth(Enum):
    """Which joints are true."""

    MEASURED = "joint_3d"
    SURFACE = "joints of the MANO fits"


class Averaging(Enum):
    """What is averaged first, before the mean over the rest."""

    JOINTS = "each of the 42 joints over the images"
    SIDES = "each side over its joints and images"
    HANDS = "all hands alike"


@dataclass(frozen=True)
class PublishedProtocol:
    """How one work measured.

    Args:
        name: of the work. alignment: how hands are laid over each other. truth: which joints.
        averaging: of the joints' errors. groups: categories that are averaged together; the figure is the mean of the
            groups'.
        vertices: how the vertices' errors are averaged, over all groups together; None: it gives no such figure.
        annotation, subset: the images of InterHand2.6M's test split that its published figures are of.
    """

    name: str
    alignment: Protocol
    truth: Truth
    averaging: Averaging
    groups: tuple[tuple[Category, ...], ...]
    vertices: Averaging | None
    annotation: str
    subset: str

    @property
    def images(self) -> tuple[Category, ...]:
        """All categories that count."""
        return tuple(category for group in self.groups for category in group)

    def describe(self) -> str:
        """A few words for a table."""
        return f"{self.alignment.name}, {self.truth.value}"

    def describe_averages(self) -> str:
        """What is averaged over what."""
        groups = ", then the mean of single and interacting" if len(self.groups) > 1 else ""
        vertices = f"; vertices: {self.vertices.value}" if self.vertices else ""
        return f"joints: {self.averaging.value}, then the mean{groups}{vertices}"


INTERNET = PublishedProtocol(
    "InterNet", WRIST_RAW, Truth.MEASURED, Averaging.JOINTS, (BOTH,), None, "H+M", "all"
)  # fmt: skip
INTERSHAPE = PublishedProtocol(
    "InterShape", MCP_SCALED, Truth.SURFACE, Averaging.JOINTS, (INTERACTING,), Averaging.HANDS, "H+M", "IH"
)
INTAGHAND = PublishedProtocol(
    "IntagHand", MCP_SCALED, Truth.SURFACE, Averaging.SIDES, (INTERACTING,), Averaging.SIDES, "H+M", "lgnet"
)
DIR_WRIST = PublishedProtocol(
    "DIR (wrist)", WRIST_SCALED, Truth.SURFACE, Averaging.SIDES, (INTERACTING,), Averaging.SIDES, "H+M", "lgnet"
)
DIR_MCP = PublishedProtocol(
    "DIR (MCP)", MCP_SCALED, Truth.SURFACE, Averaging.SIDES, (INTERACTING,), Averaging.SIDES, "H+M", "lgnet"
)
INTERWILD = PublishedProtocol(
    "InterWild", WRIST_RAW, Truth.MEASURED, Averaging.JOINTS, (SINGLE, INTERACTING), Averaging.HANDS, "H", "all"
)
INTERWILD_ON_HIC = replace(INTERWILD, truth=Truth.SURFACE)
"""HIC has no measured joints: its joints are those of its meshes."""
LGNET = PublishedProtocol(
    "LGNet (as stated)", WRIST_SCALED, Truth.SURFACE, Averaging.SIDES, (INTERACTING,), Averaging.SIDES, "H+M", "lgnet"
)
PUBLISHED_PROTOCOLS = (INTERNET, INTERSHAPE, INTAGHAND, DIR_WRIST, DIR_MCP, INTERWILD, LGNET)


@dataclass(frozen=True)
class PublishedProtocolFigures:
    """Millimetres; NaN: nothing was there to be measured.

    Args:
        groups: MPJPE of each group of the protocol. images: how many counted.
        rrve: mean error of both hands' vertices relative to the right wrist, pairs only (InterWild).
    """

    mpjpe: float
    mpvpe: float
    mrrpe: float
    rrve: float
    groups: tuple[float, ...]
    images: int


class PublishedProtocolScore:
    """The figures of one protocol; an observer of an evaluation.

    Args:
        protocol: to be followed.
        said, true: the hand models of the network and of the set's surfaces, which make joints of them.
        device: where the hands come from.
    """

    def __init__(
        self, protocol: PublishedProtocol, said: HandModel, true: HandModel, device: torch.device | str = "cpu"
    ) -> None:
        self.protocol = protocol
        self._joints_said = said.joints_from_vertices
        self._joints_true = copy.deepcopy(true).to(device).joints_from_vertices  # the set's own stays where it reads
        self._joints = [self._mean(protocol.averaging, device) for _ in protocol.groups]
        self._vertices = self._mean(protocol.vertices or Averaging.HANDS, device)
        self._roots, self._both = MRRPE().to(device), MaskedMean().to(device)
        self._images = 0

    def update(self, outcome: Comparison, read: Labelled) -> None:
        """Add hands of the protocol's categories."""
        for group, mean in zip(self.protocol.groups, self._joints):
            some = _of(read.category, group)
            self._add_joints(mean, outcome.select(some), read.truth.surfaces[some])
        some = _of(read.category, self.protocol.images)
        self._images += int(some.sum())
        chosen, fitted = outcome.select(some), read.truth.surfaces[some]
        if self.protocol.truth is Truth.MEASURED:
            wrists, known = chosen.measured[:, :, WRIST], chosen.measured_known[..., WRIST]
            apart = wrists[:, Side.LEFT] - wrists[:, Side.RIGHT]
        else:
            apart, known = chosen.true_relative_translation, fitted
        self._roots.update(chosen.relative_translation, apart, known.all(1))
        if self.protocol.vertices is not None:
            self._add_vertices(chosen)

    def compute(self) -> PublishedProtocolFigures:
        """All figures."""
        means = (*self._joints, self._vertices, self._roots, self._both)
        *groups, vertices, roots, both = (float(mean_of_columns(mean.total, mean.count)) for mean in means)
        return PublishedProtocolFigures(sum(groups) / len(groups), vertices, roots, both, tuple(groups), self._images)

    def _add_joints(self, mean: MaskedMean, o: Comparison, fitted: Tensor) -> None:
        if self.protocol.truth is Truth.MEASURED:
            said, true, known = o.joints, o.measured, o.measured_known
        else:
            said, true = self._joints_said(o.vertices), self._joints_true(o.true_vertices)
            known = fitted[..., None].expand(true.shape[:-1])
        errors = self.protocol.alignment.errors(said, said, true, true)  # (B, 2, 21)
        self._accumulate(mean, self.protocol.averaging, errors, self.protocol.alignment.measurable(known))

    def _add_vertices(self, o: Comparison) -> None:
        assert self.protocol.vertices is not None
        said, true = self._joints_said(o.vertices), self._joints_true(o.true_vertices)
        errors = self.protocol.alignment.errors(o.vertices, said, o.true_vertices, true)  # (B, 2, V)
        known = o.surfaces[..., None].expand(errors.shape)
        self._accumulate(self._vertices, self.protocol.vertices, errors, known)
        # Both hands where they stand to the right wrist, in millimetres.
        shift = torch.stack([torch.zeros_like(o.relative_translation), o.relative_translation], 1)
        true_shift = torch.stack([torch.zeros_like(shift[:, 1]), o.true_relative_translation], 1)
        apart = (o.vertices + shift[:, :, None]) - (o.true_vertices + true_shift[:, :, None])
        together = apart.norm(dim=-1).mean((1, 2))[:, None] * MILLIMETRES
        self._both.accumulate(together, o.surfaces.all(1))

    @staticmethod
    def _mean(averaging: Averaging, device: torch.device | str) -> MaskedMean:
        columns = {Averaging.JOINTS: 2 * NUM_KEYPOINTS, Averaging.SIDES: 2, Averaging.HANDS: 1}[averaging]
        return MaskedMean(columns).to(device)

    @staticmethod
    def _accumulate(mean: MaskedMean, averaging: Averaging, errors: Tensor, known: Tensor) -> None:
        """Shapes: errors, known: (B, 2, P)."""
        if averaging is Averaging.JOINTS:
            mean.accumulate(errors.flatten(1), known.flatten(1))
        elif averaging is Averaging.SIDES:
            mean.accumulate(errors.transpose(1, 2), known.transpose(1, 2))
        else:
            counted = known.sum(-1, keepdim=True)
            hands = torch.where(known, errors, 0).sum(-1, keepdim=True) / counted.clamp_min(1)
            mean.accumulate(hands, counted > 0)


def _of(category: Tensor, chosen: tuple[Category, ...]) -> Tensor:
    """(B,) bool: the image is of one of the categories."""
    numbers = category.new_tensor([CATEGORIES.index(one) for one in chosen])
    return torch.isin(category, numbers)
