"""Evaluation protocols of published works, each averaged as in its own evaluation code.

They differ in the true joints (measured joints, or those of fitted meshes), the alignment
(:mod:`lgnet_core.evaluation.metrics.alignment`), the order of averaging, and the selected images. Where all hands are
present and known, the averages agree; otherwise they do not.

Sources: the evaluation code of each work. LGNet's protocol is stated only in its supplement; what it leaves open is
taken from IntagHand.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from enum import Enum

import torch
from torch import Tensor

from lgnet_core.evaluation.comparison import Comparison
from lgnet_core.evaluation.datasets.base import CATEGORIES, Category, LabelledImages
from lgnet_core.evaluation.metrics.alignment import MCP_SCALED, MILLIMETRES, WRIST_RAW, WRIST_SCALED, Alignment
from lgnet_core.evaluation.metrics.errors import MRRPE, MaskedMean, mean_of_columns
from lgnet_core.hand_model import HandLayer
from lgnet_core.types import NUM_KEYPOINTS, WRIST, Side

INTERACTING, SINGLE = (Category.INTERACTING,), (Category.SINGLE,)
BOTH = (*SINGLE, *INTERACTING)


class TrueJoints(Enum):
    """Which joints are taken as ground truth."""

    MEASURED = "joint_3d"
    MESH = "joints of the MANO fits"


class Averaging(Enum):
    """What is averaged first, before the mean over the rest."""

    JOINTS = "each of the 42 joints over the images"
    SIDES = "each side over its joints and images"
    HANDS = "all hands with equal weight"


@dataclass(frozen=True)
class PublishedProtocol:
    """Evaluation protocol of one work.

    Args:
        name: of the work. alignment: of predicted and true hands. truth: which joints are the ground truth.
        averaging: of the joint errors. groups: categories that are averaged together; the result is the mean over the
            groups.
        vertices: averaging of the vertex errors, over all groups together; None: no vertex errors.
        annotation, subset: the images of InterHand2.6M's test split that its published results refer to.
    """

    name: str
    alignment: Alignment
    truth: TrueJoints
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
        """Short description for a table."""
        return f"{self.alignment.name}, {self.truth.value}"

    def describe_averages(self) -> str:
        """Description of the averaging."""
        groups = ", then the mean of single and interacting" if len(self.groups) > 1 else ""
        vertices = f"; vertices: {self.vertices.value}" if self.vertices else ""
        return f"joints: {self.averaging.value}, then the mean{groups}{vertices}"


INTERNET = PublishedProtocol(
    "InterNet", WRIST_RAW, TrueJoints.MEASURED, Averaging.JOINTS, (BOTH,), None, "H+M", "all"
)  # fmt: skip
INTERSHAPE = PublishedProtocol(
    "InterShape", MCP_SCALED, TrueJoints.MESH, Averaging.JOINTS, (INTERACTING,), Averaging.HANDS, "H+M", "IH"
)
INTAGHAND = PublishedProtocol(
    "IntagHand", MCP_SCALED, TrueJoints.MESH, Averaging.SIDES, (INTERACTING,), Averaging.SIDES, "H+M", "lgnet"
)
DIR_WRIST = PublishedProtocol(
    "DIR (wrist)", WRIST_SCALED, TrueJoints.MESH, Averaging.SIDES, (INTERACTING,), Averaging.SIDES, "H+M", "lgnet"
)
DIR_MCP = PublishedProtocol(
    "DIR (MCP)", MCP_SCALED, TrueJoints.MESH, Averaging.SIDES, (INTERACTING,), Averaging.SIDES, "H+M", "lgnet"
)
INTERWILD = PublishedProtocol(
    "InterWild", WRIST_RAW, TrueJoints.MEASURED, Averaging.JOINTS, (SINGLE, INTERACTING), Averaging.HANDS, "H", "all"
)
INTERWILD_ON_HIC = replace(INTERWILD, truth=TrueJoints.MESH)
"""HIC has no measured joints: its joints are derived from its meshes."""
LGNET = PublishedProtocol(
    "LGNet (as stated)", WRIST_SCALED, TrueJoints.MESH, Averaging.SIDES, (INTERACTING,), Averaging.SIDES, "H+M", "lgnet"
)
PUBLISHED_PROTOCOLS = (INTERNET, INTERSHAPE, INTAGHAND, DIR_WRIST, DIR_MCP, INTERWILD, LGNET)


@dataclass(frozen=True)
class PublishedProtocolMetrics:
    """Millimetres; NaN without data.

    Args:
        groups: MPJPE of each group of the protocol. images: number of images.
        rrve: mean error of both hands' vertices relative to the right wrist, pairs only (InterWild).
    """

    mpjpe: float
    mpvpe: float
    mrrpe: float
    rrve: float
    groups: tuple[float, ...]
    images: int


class PublishedProtocolScore:
    """Metrics under one protocol; an evaluation observer.

    Args:
        protocol: the protocol.
        predicted_model, true_model: hand models of the network and of the data set; they derive joints from vertices.
        device: of the hands.
    """

    def __init__(
        self,
        protocol: PublishedProtocol,
        predicted_model: HandLayer,
        true_model: HandLayer,
        device: torch.device | str = "cpu",
    ) -> None:
        self.protocol = protocol
        self._predicted_joints = predicted_model.joints_from_vertices
        true_model = copy.deepcopy(true_model).to(device)  # the original stays on its device
        self._true_joints = true_model.joints_from_vertices
        self._mpjpe = [self._mean(protocol.averaging, device) for _ in protocol.groups]
        self._mpvpe = self._mean(protocol.vertices or Averaging.HANDS, device)
        self._mrrpe, self._rrve = MRRPE().to(device), MaskedMean().to(device)
        self._images = 0

    def update(self, comparison: Comparison, read: LabelledImages) -> None:
        """Add the images of the protocol's categories."""
        for group, mean in zip(self.protocol.groups, self._mpjpe):
            selected = _is_in(read.category, group)
            self._add_joints(mean, comparison.select(selected), read.truth.vertices_known[selected])
        selected = _is_in(read.category, self.protocol.images)
        self._images += int(selected.sum())
        of_protocol, fitted = comparison.select(selected), read.truth.vertices_known[selected]
        if self.protocol.truth is TrueJoints.MEASURED:
            wrists, known = of_protocol.measured[:, :, WRIST], of_protocol.measured_known[..., WRIST]
            translation = wrists[:, Side.LEFT] - wrists[:, Side.RIGHT]
        else:
            translation, known = of_protocol.true_relative_translation, fitted
        self._mrrpe.update(of_protocol.relative_translation, translation, known.all(1))
        if self.protocol.vertices is not None:
            self._add_vertices(of_protocol)

    def compute(self) -> PublishedProtocolMetrics:
        """All metrics."""
        means = (*self._mpjpe, self._mpvpe, self._mrrpe, self._rrve)
        *groups, vertices, mrrpe, rrve = (float(mean_of_columns(mean.total, mean.count)) for mean in means)
        return PublishedProtocolMetrics(sum(groups) / len(groups), vertices, mrrpe, rrve, tuple(groups), self._images)

    def _add_joints(self, mean: MaskedMean, c: Comparison, fitted: Tensor) -> None:
        if self.protocol.truth is TrueJoints.MEASURED:
            predicted, true, known = c.joints, c.measured, c.measured_known
        else:
            predicted, true = self._predicted_joints(c.vertices), self._true_joints(c.true_vertices)
            known = fitted[..., None].expand(true.shape[:-1])
        errors = self.protocol.alignment.errors(predicted, predicted, true, true)  # (B, 2, 21)
        self._accumulate(mean, self.protocol.averaging, errors, self.protocol.alignment.measurable(known))

    def _add_vertices(self, c: Comparison) -> None:
        assert self.protocol.vertices is not None
        predicted, true = self._predicted_joints(c.vertices), self._true_joints(c.true_vertices)
        errors = self.protocol.alignment.errors(c.vertices, predicted, c.true_vertices, true)  # (B, 2, V)
        known = c.vertices_known[..., None].expand(errors.shape)
        self._accumulate(self._mpvpe, self.protocol.vertices, errors, known)
        # Vertices of both hands relative to the right wrist.
        shift = torch.stack([torch.zeros_like(c.relative_translation), c.relative_translation], 1)
        true_shift = torch.stack([torch.zeros_like(shift[:, 1]), c.true_relative_translation], 1)
        offsets = (c.vertices + shift[:, :, None]) - (c.true_vertices + true_shift[:, :, None])
        mean_error = offsets.norm(dim=-1).mean((1, 2))[:, None] * MILLIMETRES
        self._rrve.accumulate(mean_error, c.vertices_known.all(1))

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


def _is_in(category: Tensor, categories: tuple[Category, ...]) -> Tensor:
    """(B,) bool: the image is of one of the categories."""
    numbers = category.new_tensor([CATEGORIES.index(one) for one in categories])
    return torch.isin(category, numbers)
