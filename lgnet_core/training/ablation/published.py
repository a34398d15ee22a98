"""Published results of the networks in an ablation, for comparison with the measured ones.

The LGNet paper's results are on InterHand2.6M, its baselines are quoted from papers with other protocols, and its
curves contradict its table (:data:`lgnet_core.evaluation.protocols.published_results.CAVEATS`). Absolute values are
therefore not comparable with ours; an ablation can only confirm or contradict which of two networks is better.
"""

from __future__ import annotations

from typing import NamedTuple

from lgnet_core.evaluation.datasets.base import INTERHAND26M
from lgnet_core.evaluation.protocols.published_results import published_results


class PublishedErrors(NamedTuple):
    """Published MPJPE, MPVPE and MRRPE, millimetres; None if not reported."""

    mpjpe: float | None
    mpvpe: float | None
    mrrpe: float | None


def _method(name: str) -> PublishedErrors:
    """First published result of a method, which is its authors' own."""
    row = next(row for row in published_results(INTERHAND26M) if row.method == name)
    return PublishedErrors(row.mpjpe, row.mpvpe, row.mrrpe)


PUBLISHED: dict[str, PublishedErrors] = {
    "lgnet": _method("LGNet"),
    "lgnet-light": _method("LGNet-Light"),
    "eanet": _method("EANet"),
    "intershape": _method("InterShape"),
    "lgnet-without-joint-stage": PublishedErrors(10.04, 9.36, 30.37),
    "lgnet-without-mesh-stage": PublishedErrors(5.74, 6.39, 28.72),
    "lgnet-without-refine-stage": PublishedErrors(6.11, 6.32, 27.24),
    "lgnet-without-left-right-features": PublishedErrors(7.09, 6.21, 27.46),
    "lgnet-without-lgblock": PublishedErrors(8.25, 8.84, 31.40),
    "lgnet-without-local-unit": PublishedErrors(7.19, 7.31, 32.96),
    "lgnet-without-global-unit": PublishedErrors(5.97, 6.17, 28.61),
    "lgnet:without-normal": PublishedErrors(5.57, 6.08, 26.70),
    "lgnet:without-edge": PublishedErrors(6.33, 6.83, 27.46),
    "lgnet:without-laplacian": PublishedErrors(5.82, 5.98, 26.95),
}
"""Published errors by row of an ablation; ``without`` rows are from the paper's ablation table."""
