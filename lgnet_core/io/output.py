"""Writing of output files as a whole or not at all, with errors that name the file, the reason and the remedy."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

_REMEDIES = {
    errno.ENOSPC: "free some space, or choose another folder",
    errno.EDQUOT: "free some space, or choose another folder",
    errno.EFBIG: "raise the limit (ulimit -f), or choose another folder",
    errno.EROFS: "choose another folder",
    errno.EACCES: "check its permissions, or choose another path",
    errno.EPERM: "check its permissions, or choose another path",
    errno.EISDIR: "pass the path of a file",
    errno.ENOTDIR: "a part of the path is a file; choose another path",
    errno.EEXIST: "a part of the path is a file; choose another path",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


_TEMPORARY_REMEDY = "set TMPDIR to a writable folder with some space"
_OS_NUMBER = re.compile(r"\[Errno \d+\] | \(os error \d+\)")
"""How Python and Rust libraries write the number of an error of the operating system."""


_PARTIAL = re.compile(r"\.(?P<machine>[0-9a-f]{6})-(?P<process>\d+)\.partial$")


class OutputError(OSError):
    """An output file or folder that cannot be written; the message names it, the reason and the remedy."""


def explain(error: BaseException) -> str:
    """The message of any error on one line, without numbers of the operating system."""
    text = explain_os_error(error) if isinstance(error, OSError) else _OS_NUMBER.sub("", str(error))
    return " ".join(text.split())


def explain_os_error(error: OSError, path: str | Path | None = None) -> str:
    """An error of the operating system in words: path, reason and remedy, without its number.

    Args:
        path: what could not be accessed; None: as the error has it.
    """
    if error.errno is None:  # one of ours, which says all that in its message
        return _OS_NUMBER.sub("", str(error))
    reason = error.strerror or os.strerror(error.errno)
    where = path or error.filename or error.filename2 or "a file that was being written or read"
    return f"{where}: {reason[0].lower()}{reason[1:]}; {_remedy(error)}"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give errors of the block that name no file, such as those of a full disk, the path where it writes.

    Raises:
        OSError: as the block raises it, with a ``filename``.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None and not _is_about_temporary_files(error):
            error.filename = str(path)
        raise


def reason_of(error: BaseException) -> str:
    """The reason of an error in words, for a message that states path and remedy itself.

    Of an :class:`OutputError`, that of its cause.
    """
    cause = error.__cause__ if isinstance(error, OutputError) and error.__cause__ else error
    return getattr(cause, "strerror", None) or _OS_NUMBER.sub("", str(cause))


def _is_about_temporary_files(error: OSError) -> bool:
    """Whether :mod:`tempfile` found no folder; its error has a text of its own, which names the folders it tried."""
    return "temporary directory" in (error.strerror or "")


def _remedy(error: OSError) -> str:
    if _is_about_temporary_files(error):
        return _TEMPORARY_REMEDY
    return _REMEDIES.get(error.errno or 0, "check the path and the disk")


def make_folder(path: Path) -> None:
    """Create a folder for results, with its parents; remove what killed processes left in it of unfinished files.

    Raises:
        OutputError: if the path is a file, or the folder cannot be created or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be created as a folder ({error.strerror}); {_remedy(error)}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: is not a writable folder; check its permissions, or choose another folder")
    _remove_stale_partials(path)


def _remove_stale_partials(folder: Path) -> None:
    """Remove the partial files of processes that were killed.

    The names of partial files have the process in them, since two processes may write the same file at once, and the
    machine, since another one that shares the folder has processes of its own. A file of a living process, also of an
    unrelated one that has got the number since, stays.
    """
    for partial in folder.glob("*.partial"):
        match = _PARTIAL.search(partial.name)
        if match and match["machine"] == _machine() and not _is_running(int(match["process"])):
            with suppress(OSError):  # another process was faster
                partial.unlink()


def _machine() -> str:
    """Short name of this machine or container in the names of files."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def check_folder_path(path: Path) -> None:
    """Check that :func:`make_folder` will succeed, without creating anything.

    Raises:
        OutputError: see :func:`make_folder`.
    """
    existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not existing.is_dir():
        raise OutputError(f"{path}: {existing} is a file; choose another path")
    make_folder(existing)


def check_output_file(path: Path) -> None:
    """Check that a file can be written, before the work whose result it will hold; creates its folder.

    Raises:
        OutputError: if the path is a folder, or its folder cannot be created or written to.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; pass the path of the file to write, e.g. {path / 'NAME'}")
    make_folder(path.parent)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A temporary folder, deleted after the block.

    Raises:
        OutputError: if there is no folder for temporary files, or the block cannot write to it.
    """
    folder = ""
    try:
        with tempfile.TemporaryDirectory() as folder, naming(Path(folder)):
            yield Path(folder)
    except OSError as error:
        if folder and folder not in str(error):  # a file elsewhere
            raise
        where = folder or os.environ.get("TMPDIR", "/tmp")
        reason = reason_of(error).removeprefix(f"{where}: ").partition("; ")[0]
        raise OutputError(f"temporary folder {where}: {reason}; {_TEMPORARY_REMEDY}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace a file as a whole: the block writes to the given path beside it, which then gets its name.

    If the block fails or is interrupted, the file stays as it was and nothing is left of the new one. The permissions
    are the user's default ones (umask), also if a library creates the file for its owner only.

    Raises:
        OutputError: if the file cannot be written.
    """
    partial = path.with_name(f"{path.name}.{_machine()}-{os.getpid()}.partial")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        partial.touch()
        mode = partial.stat().st_mode & 0o777
        yield partial
        partial.chmod(mode)
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, SafetensorError):
            raise OutputError(f"{path}: cannot be written ({reason_of(error)}); check the path and the disk") from error
        if isinstance(error, OSError) and not isinstance(error, OutputError):
            raise OutputError(f"cannot write {explain_os_error(error, path)}") from error
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all; raises: see :func:`replacing`."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 file as a whole or not at all; raises: see :func:`replacing`."""
    write_bytes(path, content.encode())
