"""Summary of a run over many images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lgnet_core.types import Side


@dataclass
class Report:
    """Summary of a run.

    Args:
        images: number of images processed.
        hands: number of hands found, by side.
        failures: one sentence for each input that could not be used.
        seconds: total time in the estimator.
        total_seconds: total time, with reading, drawing and writing.
        notes: remarks about the results for the user.
    """

    images: int = 0
    hands: Counter[Side] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    total_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Merge the report of another run into this one."""
        self.images += other.images
        self.hands.update(other.hands)
        self.seconds += other.seconds
        self.total_seconds += other.total_seconds
        for mine, theirs in ((self.failures, other.failures), (self.notes, other.notes)):
            for sentence in theirs:
                add_once(mine, sentence)


def add_once(sentences: list[str], sentence: str) -> None:
    """Append a sentence once: frames of a video often fail for the same reason."""
    if sentence not in sentences:
        sentences.append(sentence)
