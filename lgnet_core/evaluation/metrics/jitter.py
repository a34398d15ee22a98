r"""How much hands tremble from frame to frame of a film: the second difference of the joints' positions.

.. math:: a_t = x_{t+1} - 2 x_t + x_{t-1}

in millimetres per frame squared, as MINT and its successors give it. True hands move too, so that beside the mean
length of the predicted a_t stand that of the true one and of their difference (the acceleration error).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.evaluation.comparison import Comparison
from lgnet_core.evaluation.image_sets import Labelled
from lgnet_core.evaluation.metrics import MaskedMean
from lgnet_core.evaluation.protocol import MILLIMETRES, WRIST_RAW
from lgnet_core.types import WRIST

FRAMES = {
    "wrist-raw": "joints relative to the wrist",
    "camera": "joints placed in the camera's frame",
}


class JitterScore:
    """Accelerations over the films of a set whose images come in the order of their films; an observer.

    Three images of a film count if the same time lies between the first two and the last two.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._means = {name: MaskedMean(3).to(device) for name in FRAMES}  # said, true, difference
        self._tail: tuple[Tensor, ...] | None = None

    def update(self, outcome: Comparison, read: Labelled) -> None:
        """Add the next images."""
        o = outcome
        placed = (o.joints + o.wrist[:, :, None], o.true_joints + o.true_wrist[:, :, None])
        now = (read.film, read.frame, o.known, o.joints, o.true_joints, *placed)
        film, frame, known, *positions = now if self._tail is None else map(torch.cat, zip(self._tail, now))
        self._tail = tuple(x[-2:] for x in (film, frame, known, *positions))
        if len(film) < 3:
            return
        steps = frame.diff()
        regular = (film[2:] == film[1:-1]) & (film[1:-1] == film[:-2]) & (film[2:] >= 0)
        regular &= (steps[1:] == steps[:-1]) & (steps[1:] > 0)
        counted = known[2:] & known[1:-1] & known[:-2] & regular[:, None, None]  # (T, 2, 21)
        for name, (said, true) in zip(FRAMES, (positions[:2], positions[2:])):
            a, b = (x.diff(dim=0).diff(dim=0) * MILLIMETRES for x in (said, true))
            values = torch.stack([a.norm(dim=-1), b.norm(dim=-1), (a - b).norm(dim=-1)], -1)
            mask = WRIST_RAW.measurable(counted) & values.isfinite().all(-1)
            if name == "wrist-raw":
                mask = mask & (torch.arange(mask.shape[-1], device=mask.device) != WRIST)  # there it never moves
            self._means[name].accumulate(values, mask)

    def compute(self) -> dict[str, dict[str, float | int]]:
        """By frame of reference: how many joints were counted, and the means in mm per frame squared; NaN: none."""
        return {
            name: {
                "joints": int(mean.count[0]),
                **dict(zip(("said", "true", "difference"), (mean.total / mean.count).tolist())),
            }
            for name, mean in self._means.items()
        }
