"""The file of a recording while it is being written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lgnet_core.io.output import OutputError, explain_os_error, replacing


class RecordingFile:
    """A file that gets its name when it is complete, also if the program is interrupted before.

    Attributes:
        partial: where to write, from :meth:`open` on.
    """

    partial: Path

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()
        self._failed = False

    def open(self) -> None:
        """Create the file.

        Raises:
            OutputError: if that is impossible.
        """
        self.partial = self._stack.enter_context(replacing(self.path))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """For each block that writes to the file; after an error nothing is left of it.

        Raises:
            OutputError: for errors of the operating system.
        """
        try:
            yield
        except OutputError:
            self._failed = True
            raise
        except OSError as error:
            self._failed = True
            raise OutputError(f"cannot write {explain_os_error(error, self.path)}") from error
        except Exception:
            self._failed = True
            raise

    def close(self) -> None:
        """Give the file its name."""
        if self._failed:
            self._stack.__exit__(OutputError, OutputError(), None)  # removes it
        else:
            self._stack.close()

    @property
    def failed(self) -> bool:
        """Whether a block that wrote to the file ended with an error."""
        return self._failed
