"""Bundled files that only training and evaluation need; the default wheel does not contain them (setup.py)."""

from __future__ import annotations

from pathlib import Path


def locate_evaluation_data(path: Path) -> Path:
    """The path of a bundled file, if it is installed.

    Raises:
        FileNotFoundError: if the package was installed without evaluation data; the message says how to add them.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: left out of the default wheel, since only training and evaluation need it; run in a checkout "
            "(`make`), or install from one with `LGNET_EVALUATION_DATA=1 pip install .`"
        )
    return path
