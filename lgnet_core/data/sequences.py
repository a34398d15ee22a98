"""Folders of images and videos without labels, however deep: in-the-wild sets such as RGB2Hands and EgoHands."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lgnet_core.io.images import IMAGE_SUFFIXES, VIDEO_SUFFIXES, ImageSource, InputError, is_image_file


class ImageSequence(NamedTuple):
    """Images that belong together: those of one folder by name, or a video's.

    Args:
        name: path below the folder that was given; ``.`` for itself.
    """

    name: Path
    source: ImageSource


def films(path: str | Path, results: Path | None = None) -> list[ImageSequence | InputError]:
    """Every folder that holds images, and every video, at a path or below it, in the order of their names.

    An image or a video is one film by itself. Folders and files whose names begin with a dot are left alone. In place
    of a folder or a video that cannot be opened stands its error.

    Args:
        results: a folder that is left alone: where results go, which hold images too.

    Raises:
        InputError: if there is nothing at the path, no image and no video below it, or it is the results' folder.
    """
    path = Path(path)
    if not path.is_dir():
        return [ImageSequence(Path("."), ImageSource(path))]
    if results is not None and results.resolve() == path.resolve():
        raise InputError(f"{path}: the results would lie among the images, and be taken for some; name another with -o")
    found: list[ImageSequence | InputError] = []
    for place in _places(path, set() if results is None else {results.resolve()}):
        try:
            found.append(
                place if isinstance(place, InputError) else ImageSequence(place.relative_to(path), ImageSource(place))
            )
        except InputError as error:
            found.append(error)
    if not found:
        known = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES | VIDEO_SUFFIXES))
        raise InputError(f"{path}: holds no images and no videos, nor do the folders in it; known are {known}")
    return found


def _places(folder: Path, seen: set[Path]) -> list[Path | InputError]:
    """Folders with images and videos, the folder itself first; a folder that links lead to twice, once."""
    if folder.resolve() in seen:
        return []
    seen.add(folder.resolve())
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        return [InputError(f"{folder}: cannot be looked into ({error.strerror}); see to its permissions")]
    found: list[Path | InputError] = [folder] if any(is_image_file(entry) for entry in entries) else []
    found += [entry for entry in entries if entry.suffix.lower() in VIDEO_SUFFIXES and entry.is_file()]
    for entry in entries:
        if entry.is_dir():
            found += _places(entry, seen)
    return found
