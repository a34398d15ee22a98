"""Libraries that belong to an extra of this package, and may not be installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs_extra(what: str, extra: str) -> Iterator[None]:
    """Turn a missing import in the block into an error that names the extra to install for ``what``.

    Raises:
        ImportError: naming the missing package.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{what} needs {error.name}, which is not installed: pip install 'lgnet_ros[{extra}]'"
        ) from error
