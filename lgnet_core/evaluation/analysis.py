"""Additional analyses of an evaluation: published protocols, and errors by pose, distance and time."""

from __future__ import annotations

from lgnet_core.evaluation.datasets.annotated import AnnotatedImages
from lgnet_core.evaluation.datasets.base import FREIHAND, HIC, INTERHAND26M, EvaluationImages, has_vertices_of
from lgnet_core.evaluation.datasets.factory import DatasetConfig
from lgnet_core.evaluation.evaluate import Observer
from lgnet_core.evaluation.metrics.asymmetry import AsymmetryScore
from lgnet_core.evaluation.metrics.jitter import JitterScore
from lgnet_core.evaluation.metrics.penetration import PenetrationScore
from lgnet_core.evaluation.metrics.proximity import ProximityScore
from lgnet_core.evaluation.protocols.freihand_protocol import FreiHANDScore
from lgnet_core.evaluation.protocols.published_protocols import (
    INTERWILD_ON_HIC,
    PUBLISHED_PROTOCOLS,
    PublishedProtocol,
    PublishedProtocolScore,
)
from lgnet_core.evaluation.report.analyses import Analyses
from lgnet_core.network import HandsNetwork

_PROTOCOLS: dict[str, tuple[PublishedProtocol, ...]] = {INTERHAND26M: PUBLISHED_PROTOCOLS, HIC: (INTERWILD_ON_HIC,)}
_MAX_PENETRATION_PAIRS = 1000  # evenly spaced over a large data set; a pair takes about 30 ms


class AnalysisObservers:
    """Observers of an evaluation that compute the additional analyses.

    Args:
        network: under evaluation, on its device. images, dataset: the evaluation data.
        count: number of images evaluated.
    """

    def __init__(self, network: HandsNetwork, images: EvaluationImages, dataset: DatasetConfig, count: int) -> None:
        device = next(network.parameters()).device
        self._network, self._images, self._dataset, self._count = network, images, dataset, count
        self._same_mesh_topology = has_vertices_of(images, network.hand_model)
        true_model = images.hand_model or network.hand_model
        self._protocols = {
            protocol: PublishedProtocolScore(protocol, network.hand_model, true_model, device)
            for protocol in _PROTOCOLS.get(dataset.data, ())
        }
        self._asymmetry, self._proximity = AsymmetryScore(device), ProximityScore(device)
        self._jitter = JitterScore(device)
        self._penetration = PenetrationScore(network.hand_model, every=max(1, count // _MAX_PENETRATION_PAIRS))
        self._f_scores = FreiHANDScore(self._same_mesh_topology, device) if dataset.data == FREIHAND else None

    @property
    def observers(self) -> list[Observer]:
        """Observers to be updated with every batch, in the order of the images."""
        f_scores = [] if self._f_scores is None else [self._f_scores]
        return [*self._protocols.values(), self._asymmetry, self._proximity, self._jitter, self._penetration, *f_scores]

    def compute(self) -> Analyses:
        """Results so far."""
        protocols = {p: (score.compute(), self._same_images_as_published(p)) for p, score in self._protocols.items()}
        skipped = self._images.set.skipped() if isinstance(self._images, AnnotatedImages) else {}
        return Analyses(
            self._dataset.data,
            protocols,
            self._asymmetry.compute(),
            self._proximity.compute(),
            self._penetration.compute(),
            self._jitter.compute(),
            None if self._f_scores is None else self._f_scores.compute(),
            self._notes(),
            skipped,
        )

    def _same_images_as_published(self, protocol: PublishedProtocol) -> bool:
        dataset, images = self._dataset, self._images
        unreadable = images.set.faults.num_unreadable() if isinstance(images, AnnotatedImages) else 0
        complete = self._count == len(images) and not unreadable
        published = (protocol.annotation, protocol.subset, "test", INTERHAND26M)
        return complete and (dataset.annotation.value, dataset.subset.value, dataset.split, dataset.data) == published

    def _notes(self) -> list[str]:
        notes = []
        if self._images.metadata.get("labels") == "joint_3d":
            notes.append(
                "joints only (joint_3d): without MANO there are no true meshes and no results under the protocols that "
                "use joints of the fits; pass your MANO model with --hand-model DIR"
            )
        elif self._same_mesh_topology:
            return notes
        elif "note" in self._images.metadata:
            notes.append(self._images.metadata["note"])
        elif self._images.hand_model is not None:
            notes.append(
                f"joints only: the labels are meshes of {self._images.hand_model.name!r}, the predictions meshes of "
                f"{self._network.hand_model.name!r} with other vertices; train with --hand-model to compare vertices"
            )
        return notes
