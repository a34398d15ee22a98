"""Opening of an annotation index in a separate process."""

from __future__ import annotations

import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path

from lgnet_core.data.interhand26m import index
from lgnet_core.data.interhand26m.layout import SplitFiles


def open_and_count_builds(sources: SplitFiles, path: Path, barrier: Barrier) -> None:
    """Open an index together with other processes; the exit status is the number of times that this one built it."""
    builds, build = [], index.build_index

    def build_and_count(*arguments):
        builds.append(1)
        return build(*arguments)

    index.build_index = build_and_count
    barrier.wait()
    index.open_index(sources, path)
    sys.exit(len(builds))
