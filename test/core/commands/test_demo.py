"""The demo writes the files of its summary."""

from __future__ import annotations

from support.small_clip import small_clip
from support.stubs import StubEstimator

from lgnet_core.commands.demo import run_demo
from lgnet_core.io.sources import ImageSource


def test_demo_writes_the_files_of_its_summary(tmp_path):
    clip = small_clip()
    summary = run_demo(StubEstimator(), tmp_path / "a" / "demo", clip)
    assert summary.frames == 3
    assert (summary.scores.found, summary.scores.missed) == (3, 3)
    assert summary.frames_per_second > 0
    for path in (summary.sheet, summary.view):
        assert path.read_bytes().startswith(b"\x89PNG")
    assert len(list((summary.folder / "frames").glob("*.png"))) == 3
    assert len(list(ImageSource(summary.folder / "overlay.mp4"))) == 3
    assert (summary.folder / "view_3d_left.ply").exists()
    run_demo(StubEstimator(), tmp_path / "a" / "demo", clip)  # overwrites the files of the first run
