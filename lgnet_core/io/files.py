"""Reading of input files with error messages that name the file, the problem and the remedy."""

from __future__ import annotations

import os
from pathlib import Path


class InputError(ValueError):
    """An input file (image, video, mesh, camera calibration, data set) that cannot be used."""


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        InputError: if the path is missing, a folder, unreadable or empty.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file; pass the path of a file")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path (relative to {Path.cwd()})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions and the disk") from error
    if not data:
        raise InputError(f"{path}: is empty (0 bytes); copy or record it again")
    return data


def folder_name(path: Path) -> str:
    """The name of a folder, also of one given as ``.`` or ``..``; links are not followed."""
    return Path(os.path.abspath(path)).name


def opencv_path(path: Path) -> str:
    """A path as OpenCV's readers and writers need it.

    Absolute, because FFmpeg takes a relative name with a colon for a network address (``http:x.mp4``).

    Raises:
        InputError: if the name is not UTF-8, for which OpenCV ends the process.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{path}: the name is not UTF-8, which OpenCV cannot open; rename it") from None
    return str(path.absolute())
