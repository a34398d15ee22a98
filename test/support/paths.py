"""Where the checkout and the optional test data are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

SHARED = Path(os.environ.get("LGNET_TEST_DATA", ROOT.parent / "shared"))
"""Images of others that are not part of the project: ``LGNET_TEST_DATA``, or ``shared`` beside the checkout."""


def requires(path: Path) -> pytest.MarkDecorator:
    """Mark of a test that uses a file or folder of :data:`SHARED`."""
    return pytest.mark.skipif(not path.exists(), reason=missing(path))


def missing(path: Path) -> str:
    """Reason for skipping a test without a file or folder of :data:`SHARED`."""
    return f"runs where LGNET_TEST_DATA or ../shared has {path.relative_to(SHARED)}"
