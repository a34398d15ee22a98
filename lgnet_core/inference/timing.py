"""How long the stages of an image take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

STAGES = ("detect", "crop", "network", "place", "smooth")
"""Palm detection; cutting crops; landmark network and the network of both hands; placement; smoothing."""


class Stopwatch:
    """Adds up seconds by stage.

    Attributes:
        seconds: of each of :data:`STAGES`.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add what the block takes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - start
