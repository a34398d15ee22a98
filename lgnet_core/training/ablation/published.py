"""What LGNet's paper prints for the networks of an ablation, to set beside what is measured here.

The paper's figures are of InterHand2.6M, its baselines are quoted from papers that measure otherwise, and its curves
contradict its table (:data:`lgnet_core.evaluation.published.CAVEATS`). So no value can be compared with one of ours;
what an ablation can confirm or contradict is which of two networks is better.
"""

from __future__ import annotations

from typing import NamedTuple

from lgnet_core.evaluation.published import INTERHAND26M, published_on


class Printed(NamedTuple):
    """MPJPE, MPVPE and MRRPE as printed, millimetres; None where nothing is."""

    mpjpe: float | None
    mpvpe: float | None
    mrrpe: float | None


def _method(name: str) -> Printed:
    """A method's first row among the published ones: its authors' own figures."""
    row = next(row for row in published_on(INTERHAND26M) if row.method == name)
    return Printed(row.mpjpe, row.mpvpe, row.mrrpe)


PRINTED: dict[str, Printed] = {
    "lgnet": _method("LGNet"),
    "lgnet-light": _method("LGNet-Light"),
    "eanet": _method("EANet"),
    "intershape": _method("InterShape"),
    "lgnet-without-joint-stage": Printed(10.04, 9.36, 30.37),
    "lgnet-without-mesh-stage": Printed(5.74, 6.39, 28.72),
    "lgnet-without-refine-stage": Printed(6.11, 6.32, 27.24),
    "lgnet-without-left-right-features": Printed(7.09, 6.21, 27.46),
    "lgnet-without-lgblock": Printed(8.25, 8.84, 31.40),
    "lgnet-without-local-unit": Printed(7.19, 7.31, 32.96),
    "lgnet-without-global-unit": Printed(5.97, 6.17, 28.61),
    "lgnet:without-normal": Printed(5.57, 6.08, 26.70),
    "lgnet:without-edge": Printed(6.33, 6.83, 27.46),
    "lgnet:without-laplacian": Printed(5.82, 5.98, 26.95),
}
"""By row of an ablation; ``without`` rows are the paper's ablation table."""
