"""What a checkpoint's metadata say about its network: configuration, hand model, size of the crops. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lgnet_core.hand_model import HandModel, load_hand_model
from lgnet_core.io.checkpoint_files import CheckpointError, locate_weights, read_metadata

DEFAULT_CROP_SIZE = 256
"""Side of the crops, pixels, for weights whose metadata does not contain it."""


def resolve_hand_model(path: str | Path | None, requested: HandModel) -> HandModel:
    """The hand model that weights were trained with: the requested one or the bundled one.

    Networks of the bundled hand model serve every hand model, since results can be retargeted.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is not a checkpoint of this project, or its network was trained with neither of them.
    """
    path = locate_weights(path)
    metadata = read_metadata(path)
    trained = (metadata.get("hand_model") or {}).get("digest")
    if trained != requested.digest and trained == (bundled := load_hand_model()).digest:
        return bundled
    check_hand_model(path, metadata, requested)
    return requested


def check_hand_model(path: Path, metadata: Mapping[str, Any], hand_model: HandModel) -> None:
    """Raise a CheckpointError if weights were trained with another hand model."""
    trained = metadata.get("hand_model") or {}
    if trained.get("digest") != hand_model.digest:
        raise CheckpointError(
            f"{path}: trained with the hand model {trained.get('name')!r} ({str(trained.get('digest'))[:12]}), but "
            f"{hand_model.name!r} ({hand_model.digest[:12]}) was passed; pass the one it was trained with "
            "(--hand-model DIR, or none for the bundled hand model), or weights trained with yours"
        )


def crop_size(metadata: Mapping[str, Any]) -> int:
    """Side of the crops that the weights were trained on, pixels; other sizes work but are less accurate.

    For a network with one crop per hand: of the images from which its crops were extracted.
    """
    return int(metadata.get("size", DEFAULT_CROP_SIZE))


def current_settings(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration under its current names: until version 0.1, ``lgnet-hand`` had the switch ``lgblock``."""
    settings = dict(metadata["config"])
    if metadata.get("network") == "lgnet-hand" and "lgblock" in settings:
        settings["interaction"] = "lgblock" if settings.pop("lgblock") else "none"
    return settings
