"""Sequences of input images from an image file, a folder or a video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lgnet_core.io.files import InputError, folder_name
from lgnet_core.io.images import IMAGE_SUFFIXES, LoadedImage, is_image_file, load_image
from lgnet_core.io.video import VIDEO_SUFFIXES, FrameSelection, Video


class ImageSource:
    """The images of a file, a folder (sorted by name, not recursive) or a video.

    Iterating yields a :class:`LoadedImage`, or the :class:`InputError` of a file that cannot be used, so that one bad
    file does not end a folder.

    Raises:
        InputError: if the path holds no image at all, or a video that cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._video: Video | None = None
        self._files: list[Path] = []
        if self.path.is_file() and self.path.suffix.lower() in VIDEO_SUFFIXES:
            self._video = Video(self.path)
        else:
            self._files = self._list_files()

    @property
    def is_video(self) -> bool:
        return self._video is not None

    @property
    def name(self) -> str:
        """Of the folder, or of the file without its suffix."""
        return folder_name(self.path) if self.path.is_dir() else self.path.stem

    @property
    def frames_per_second(self) -> float:
        """Rate of a video's selected frames; 0 for images."""
        return 0.0 if self._video is None else self._video.frames_per_second / self._video.selection.stride

    def select_frames(self, selection: FrameSelection) -> None:
        """Use only some frames of a video; no effect on images."""
        if self._video is not None:
            self._video.selection = selection

    def __len__(self) -> int:
        """Number of images; of a video as its header states it, which may be wrong or 0 (unknown)."""
        return len(self._files) if self._video is None else len(self._video)

    def __iter__(self) -> Iterator[LoadedImage | InputError]:
        yield from self._images() if self._video is None else self._video

    def _list_files(self) -> list[Path]:
        if not self.path.exists():
            raise InputError(f"{self.path}: no such file or folder; check the path (relative to {Path.cwd()})")
        if not self.path.is_dir():
            return [self.path]
        files = sorted(f for f in self.path.iterdir() if is_image_file(f))
        if not files:
            known = ", ".join(sorted(s[1:] for s in IMAGE_SUFFIXES))
            raise InputError(f"{self.path}: contains no images; supported formats are {known}")
        return files

    def _images(self) -> Iterator[LoadedImage | InputError]:
        stems = Counter(file.stem for file in self._files)
        used: set[str] = set()
        for file in self._files:
            name = file.stem if stems[file.stem] == 1 else file.name.replace(".", "_")
            while name in used:  # c.png and c.bmp beside c_png.jpg
                name += "_"
            used.add(name)
            try:
                yield replace(load_image(file), name=name)
            except InputError as error:
                yield error
