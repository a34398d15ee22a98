"""Where the checkout and the optional test data are."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

SHARED = Path(os.environ.get("LGNET_TEST_DATA", ROOT.parent / "shared"))
"""Real images that are not part of the project; tests that use them skip where they are absent."""
