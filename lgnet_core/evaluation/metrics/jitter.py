"""Jitter of hands in image sequences: accelerations in millimetres per frame squared, as in MINT and its successors.

True hands accelerate too, so the mean magnitude of the predicted acceleration is reported with that of the true one and
of their difference (the acceleration error, :mod:`lgnet_core.evaluation.metrics.acceleration`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.evaluation.comparison import Comparison
from lgnet_core.evaluation.datasets.base import LabelledImages
from lgnet_core.evaluation.metrics.acceleration import accelerations
from lgnet_core.evaluation.metrics.alignment import WRIST_RAW
from lgnet_core.evaluation.metrics.errors import MaskedMean
from lgnet_core.types import WRIST

FRAMES = {
    "wrist-raw": "joints relative to the wrist",
    "camera": "joints in the camera frame",
}


class JitterScore:
    """Accelerations in the sequences of a data set that is read in order; an evaluation observer.

    Three consecutive images of a sequence count if they are equally spaced in time.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._means = {name: MaskedMean(3).to(device) for name in FRAMES}  # predicted, true, difference
        self._tail: tuple[Tensor, ...] | None = None

    def update(self, comparison: Comparison, read: LabelledImages) -> None:
        """Add the next images."""
        c = comparison
        in_camera = (c.joints + c.wrist[:, :, None], c.true_joints + c.true_wrist[:, :, None])
        current = (read.sequence, read.frame, c.joints_known, c.joints, c.true_joints, *in_camera)
        sequence, frame, known, *positions = current if self._tail is None else map(torch.cat, zip(self._tail, current))
        self._tail = tuple(x[-2:] for x in (sequence, frame, known, *positions))
        if len(sequence) < 3:
            return
        steps = frame.diff()
        regular = (sequence[2:] == sequence[1:-1]) & (sequence[1:-1] == sequence[:-2]) & (sequence[2:] >= 0)
        regular &= (steps[1:] == steps[:-1]) & (steps[1:] > 0)
        counted = known[2:] & known[1:-1] & known[:-2] & regular[:, None, None]  # (T, 2, 21)
        for name, (predicted, true) in zip(FRAMES, (positions[:2], positions[2:])):
            a, b = accelerations(predicted), accelerations(true)
            values = torch.stack([a.norm(dim=-1), b.norm(dim=-1), (a - b).norm(dim=-1)], -1)
            mask = WRIST_RAW.measurable(counted) & values.isfinite().all(-1)
            if name == "wrist-raw":  # the wrist is the origin of that frame
                mask = mask & (torch.arange(mask.shape[-1], device=mask.device) != WRIST)
            self._means[name].accumulate(values, mask)

    def compute(self) -> dict[str, dict[str, float | int]]:
        """By frame of reference: number of joints counted, and means in mm per frame squared (NaN without joints)."""
        return {
            name: {
                "joints": int(mean.count[0]),
                **dict(zip(("predicted", "true", "difference"), (mean.total / mean.count).tolist())),
            }
            for name, mean in self._means.items()
        }
