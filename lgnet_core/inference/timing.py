"""Wall-clock time of the pipeline's stages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

STAGES = ("detect", "crop", "network", "place", "depth", "smooth")
"""Palm detection; crop extraction; hand-landmark and two-hand networks; placement and retargeting; scaling to a depth
map; smoothing."""


class Stopwatch:
    """Accumulates seconds per stage.

    Attributes:
        seconds: by the names of :data:`STAGES`.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time the block, including one that raises, and add it to the stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - start
