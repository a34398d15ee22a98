"""Unlabelled image sequences and videos in a directory tree, e.g. in-the-wild sets such as RGB2Hands and EgoHands."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lgnet_core.io.files import InputError
from lgnet_core.io.images import IMAGE_SUFFIXES, is_image_file
from lgnet_core.io.sources import ImageSource
from lgnet_core.io.video import VIDEO_SUFFIXES


class ImageSequence(NamedTuple):
    """A sequence of frames: the images of one folder in the order of their names, or a video.

    Args:
        name: path relative to the root folder; ``.`` for the root itself.
    """

    name: Path
    source: ImageSource


def image_sequences(path: str | Path, results: Path | None = None) -> list[ImageSequence | InputError]:
    """Find every folder with images and every video at a path or below it, in the order of their names.

    An image or video file is a sequence by itself. Hidden folders and files are skipped. A folder or video that cannot
    be opened is represented by its error.

    Args:
        results: output folder, which is skipped because it may contain images too.

    Raises:
        InputError: if the path does not exist, contains no images and no videos, or is the results folder.
    """
    path = Path(path)
    if not path.is_dir():
        return [ImageSequence(Path("."), ImageSource(path))]
    if results is not None and results.resolve() == path.resolve():
        raise InputError(f"{path}: the results would be written among the input images; choose another folder with -o")
    found: list[ImageSequence | InputError] = []
    for folder in _walk(path, set() if results is None else {results.resolve()}):
        if isinstance(folder, InputError):
            found.append(folder)
            continue
        sources = [folder.path] if any(is_image_file(entry) for entry in folder.entries) else []
        sources += [entry for entry in folder.entries if _is_video_file(entry)]
        for source in sources:
            try:
                found.append(ImageSequence(source.relative_to(path), ImageSource(source)))
            except InputError as error:
                found.append(error)
    if not found:
        known = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES | VIDEO_SUFFIXES))
        raise InputError(f"{path}: contains no images and no videos, nor do its subfolders; supported formats: {known}")
    return found


def input_sequences(paths: Sequence[str | Path], results: Path | None = None) -> list[ImageSequence | InputError]:
    """Sequences of several inputs, named so that their results do not overwrite each other.

    The results of a single input are named as by :func:`image_sequences`. Of several, a folder's are in a folder of its
    name, and those of a further file or folder of the same name in ``NAME-2`` and so on. An input that is given twice
    is used once.

    Args:
        results: see :func:`image_sequences`.

    Raises:
        InputError: if no input can be used.
    """
    inputs = list({Path(path).resolve(): Path(path) for path in paths}.values())
    if len(inputs) == 1:
        return image_sequences(inputs[0], results)
    found: list[ImageSequence | InputError] = []
    taken: set[str] = set()
    for path in inputs:
        try:
            sequences = image_sequences(path, results)
        except InputError as error:
            found.append(error)
            continue
        own = path.resolve().name if path.is_dir() else path.stem
        numbered = itertools.chain([own], (f"{own}-{k}" for k in itertools.count(2)))
        name = next(name for name in numbered if name not in taken)
        taken.add(name)
        folder = Path(name) if path.is_dir() or name != own else Path(".")
        found += [s if isinstance(s, InputError) else s._replace(name=folder / s.name) for s in sequences]
    if found and all(isinstance(item, InputError) for item in found):
        raise InputError("; ".join(str(item) for item in found))
    return found


def find_other_files(path: str | Path, results: Path | None = None) -> list[Path]:
    """Files at or below a folder that :func:`image_sequences` leaves out, as they are neither images nor videos.

    Dangling links are among them; hidden files are not. Arguments: see :func:`image_sequences`.
    """
    path = Path(path)
    if not path.is_dir():
        return []
    folders = _walk(path, set() if results is None else {results.resolve()})
    entries = [entry for folder in folders if isinstance(folder, _Folder) for entry in folder.entries]
    return [entry for entry in entries if not (entry.is_dir() or is_image_file(entry) or _is_video_file(entry))]


class _Folder(NamedTuple):
    """A folder and its visible entries, sorted by name."""

    path: Path
    entries: list[Path]


def _is_video_file(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()


def _walk(folder: Path, visited: set[Path]) -> Iterator[_Folder | InputError]:
    """The folder, then those below it; one that is reached through several links comes once, hidden ones never."""
    if folder.resolve() in visited:
        return
    visited.add(folder.resolve())
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        yield InputError(f"{folder}: cannot be listed ({error.strerror}); check its permissions")
        return
    yield _Folder(folder, entries)
    for entry in entries:
        if entry.is_dir():
            yield from _walk(entry, visited)
