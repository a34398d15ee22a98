"""Sequences of input images from files, folders and videos."""

from __future__ import annotations

import pytest
from support.image_files import quadrants, write_image

from lgnet_core.io.files import InputError
from lgnet_core.io.images import LoadedImage
from lgnet_core.io.sources import ImageSource

IMAGE = quadrants()


def test_folder_continues_after_an_unreadable_file(tmp_path):
    write_image(tmp_path / "a.png", IMAGE)
    (tmp_path / "b.jpg").write_bytes(b"nonsense")
    write_image(tmp_path / "c.png", IMAGE)
    write_image(tmp_path / "c.bmp", IMAGE)
    (tmp_path / "notes.txt").write_text("text")
    source = ImageSource(tmp_path)
    images = list(source)
    assert len(source) == len(images) == 4
    assert [f.name if isinstance(f, LoadedImage) else "error" for f in images] == ["a", "error", "c_bmp", "c_png"]


def test_names_are_unique(tmp_path):
    for name in ("c.png", "c.bmp", "c_png.jpg"):
        write_image(tmp_path / name, IMAGE)
    names = [loaded.name for loaded in ImageSource(tmp_path)]
    assert len(set(names)) == 3


def test_images_without_extension_are_found(tmp_path):
    for suffix in (".jpg", ".png", ".webp", ".tiff", ".bmp"):
        path = write_image(tmp_path / f"a{suffix}", IMAGE)
        path.rename(tmp_path / f"download{suffix[1:]}")
    (tmp_path / "README").write_text("no image")
    assert [loaded.image.shape for loaded in ImageSource(tmp_path)] == [IMAGE.shape] * 5


def test_empty_folder_and_missing_path_are_rejected(tmp_path):
    with pytest.raises(InputError, match="contains no images"):
        ImageSource(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        ImageSource(tmp_path / "nowhere")


def test_single_image_file(tmp_path):
    source = ImageSource(write_image(tmp_path / "a.png", IMAGE))
    assert [loaded.name for loaded in source] == ["a"]
    assert len(source) == 1
    assert not source.is_video
    assert source.frames_per_second == 0


@pytest.mark.parametrize(("path", "name"), [(".", "inner"), ("..", "outer"), ("../inner", "inner")])
def test_relative_folders_have_their_names(monkeypatch, tmp_path, path, name):
    """Recordings are named after them."""
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    for folder in ("outer", "outer/inner"):
        write_image(tmp_path / folder / "a.png", IMAGE)
    monkeypatch.chdir(tmp_path / "outer" / "inner")
    assert ImageSource(path).name == name
