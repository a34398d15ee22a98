"""Settings file of a training, and the check that a resumed training has not changed them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lgnet_core.io.output import write_text

SETTINGS = "settings.json"


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings of a training into its folder."""
    write_text(folder / SETTINGS, json.dumps(settings, default=str, indent=2) + "\n")


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Compare settings with those in a training's folder, if it has any; settings that were not stored are ignored.

    Raises:
        ValueError: if a setting differs.
    """
    path = folder / SETTINGS
    if not path.exists():
        return
    stored = json.loads(path.read_text())
    for name, value in json.loads(json.dumps(settings, default=str)).items():
        if stored.get(name, value) != value:
            raise ValueError(
                f"{folder}: was trained with {name}={stored[name]!r}, which cannot change to {value!r}; keep the "
                "setting, or use another folder"
            )
