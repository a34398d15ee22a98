"""Output files are written as a whole or not at all, with ordinary permissions; errors name file, reason and remedy."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from lgnet_core.hand_model import read_asset
from lgnet_core.hand_model.asset import BUNDLED_ASSET
from lgnet_core.io.meshes import write_ply
from lgnet_core.io.output import (
    OutputError,
    check_output_file,
    explain,
    explain_os_error,
    make_folder,
    naming,
    replacing,
    temporary_folder,
    write_bytes,
)
from lgnet_core.network.pretrained import save_half_precision
from lgnet_core.training.features.shards import write_shard
from lgnet_core.visualization.drawing import write_png

NOISE = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)

WRITERS: dict[str, Callable[[Path], None]] = {
    "bytes": lambda path: write_bytes(path, NOISE.tobytes()),
    "png": lambda path: write_png(path, NOISE),
    "ply": lambda path: write_ply(path, np.zeros((9000, 3)), np.zeros((1, 3))),
    "npz": lambda path: read_asset(BUNDLED_ASSET).write(path),
    "shard": lambda path: write_shard(path, {"given": torch.zeros(50_000)}),
    "weights": lambda path: save_half_precision(nn.Conv2d(200, 200, 3), path, {"source": "test"}),
}


@contextmanager
def full_disk(free: int) -> Iterator[None]:
    """Files cannot grow beyond ``free`` bytes: writing fails in the middle, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_names_the_file_and_leaves_no_half_of_it(tmp_path, kind):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with full_disk(30_000), pytest.raises(OutputError) as caught:
        WRITERS[kind](path)
    assert str(path) in str(caught.value)
    assert "; " in str(caught.value)
    assert "Errno" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize("kind", WRITERS)
def test_files_have_the_permissions_of_the_umask(tmp_path, kind):
    """Also those of libraries that create files for their owner only."""
    before = os.umask(0o022)
    try:
        WRITERS[kind](tmp_path / "file")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_an_interruption_leaves_nothing_behind(tmp_path):
    def write() -> None:
        with replacing(tmp_path / "file") as partial:
            partial.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_in_place_of_the_file(tmp_path, kind):
    with pytest.raises(OutputError, match=r"is a directory; pass the path of a file"):
        WRITERS[kind](tmp_path)


def test_what_a_killed_process_left_is_removed_by_the_next_run(tmp_path):
    """What a living process is writing stays, and so does what a machine that shares the folder has begun."""
    with replacing(tmp_path / "mine") as partial:
        name = partial.name
        code = f"""
import os, signal
from pathlib import Path
from lgnet_core.io.output import replacing
with replacing(Path({str(tmp_path)!r}) / "file"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
        killed = subprocess.run([sys.executable, "-c", code])
        assert killed.returncode == -signal.SIGKILL
        (stale,) = tmp_path.glob("file.*.partial")
        machine = re.search(r"\.([0-9a-f]+)-\d+\.partial", stale.name)[1]
        foreign = stale.with_name(stale.name.replace(machine, "0" * 6))
        foreign.touch()
        unrelated = tmp_path / "notes.partial"
        unrelated.touch()
        make_folder(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {name, foreign.name, unrelated.name}
    assert (tmp_path / "mine").exists()


def test_paths_are_checked_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file: cannot be created as a folder .*choose another path"):
        make_folder(tmp_path / "file")
    with pytest.raises(OutputError, match=r"a part of the path is a file"):
        check_output_file(tmp_path / "file" / "w.onnx")
    with pytest.raises(OutputError, match=r"is a folder; pass the path of the file"):
        check_output_file(tmp_path)
    check_output_file(tmp_path / "new" / "w.onnx")
    assert (tmp_path / "new").is_dir()


def test_errors_of_the_system_in_words(tmp_path):
    with pytest.raises(OSError) as caught:
        (tmp_path / "none" / "file").read_bytes()
    assert explain_os_error(caught.value) == f"{tmp_path / 'none' / 'file'}: no such file or directory; check the path"
    assert explain_os_error(OutputError("a: b; c")) == "a: b; c"


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "choose another folder"),
        (errno.EACCES, "check its permissions"),
        (errno.ENOTDIR, "choose another path"),
        (errno.EISDIR, "pass the path of a file"),
        (errno.ENAMETOOLONG, "choose a shorter name"),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_every_kind_of_error_has_path_and_remedy(tmp_path, number, remedy, named):
    """An error of a full disk names no file: the place that is written to stands in for it."""
    other = str(tmp_path / "other")
    with pytest.raises(OSError) as caught, naming(tmp_path / "place"):
        raise OSError(number, os.strerror(number), *([other] if named else []))
    text = explain(caught.value)
    assert text.startswith(f"{other if named else tmp_path / 'place'}: ")
    assert remedy in text
    assert "Errno" not in text


def test_numbers_of_other_languages_are_left_out(tmp_path):
    """Safetensors is written in Rust."""
    with pytest.raises((OSError, SafetensorError)) as caught:
        save_file({"x": torch.zeros(1)}, tmp_path / "none" / "file")
    assert "os error 2" in str(caught.value)
    assert "No such file" in explain(caught.value)
    assert "os error" not in explain(caught.value)


def test_unusable_folder_of_temporary_files(monkeypatch, tmp_path):
    """Missing altogether, too deep for a file name, and full."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with (
        pytest.raises(OutputError, match=r"temporary folder .*: No such file or directory; set TMPDIR"),
        temporary_folder(),
    ):
        pass
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with (
        pytest.raises(
            OutputError, match=rf"temporary folder {tmp_path}/.*: No space left on device; set TMPDIR"
        ) as caught,
        temporary_folder(),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "Errno" not in str(caught.value)
    with pytest.raises(OSError, match="elsewhere"), temporary_folder():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "elsewhere")
    assert not list(tmp_path.iterdir())


def test_no_folder_for_temporary_files_at_all(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/none", "/nowhere"])
    with pytest.raises(FileNotFoundError) as caught:
        tempfile.gettempdir()
    text = explain(caught.value)
    assert "'/none'" in text
    assert "set TMPDIR" in text
