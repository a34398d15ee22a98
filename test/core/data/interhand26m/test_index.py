"""Index of InterHand2.6M: content, caching, invalidation, concurrency and memory."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from support.index_process import open_and_count_builds
from support.random_annotations import write_annotations
from support.waiting import TIMEOUT

from lgnet_core.data.interhand26m.index import open_index
from lgnet_core.data.interhand26m.layout import SplitFiles

IH_FINGERS = ("thumb", "index", "middle", "ring", "pinky")


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> SplitFiles:
    return write_annotations(tmp_path_factory.mktemp("annotations"), 400)


def openpose_index(name: str) -> int:
    """OpenPose index of the data set's joint, derived from its name: wrist 0, thumb_1 1, ..."""
    finger, number = name.split("_")
    return 1 + 4 * IH_FINGERS.index(finger) + int(number) - 1


OPENPOSE_OF_DATASET = [openpose_index(f"{finger}_{k}") for finger in IH_FINGERS for k in (4, 3, 2, 1)] + [0]


def test_index_equals_json_content(sources, tmp_path):
    index = open_index(sources, tmp_path / "index")
    data, camera, joints, fits = (
        json.loads(path.read_text()) for path in (sources.data, sources.camera, sources.joints, sources.fits)
    )
    images = {image["id"]: image for image in data["images"]}
    annotations = {annotation["id"]: annotation for annotation in data["annotations"]}
    assert len(index) == 400
    assert sorted(index.annotation_id.tolist()) == sorted(annotations)
    valid = index.valid(np.arange(400))
    for row in range(0, 400, 7):
        annotation = annotations[int(index.annotation_id[row])]
        image = images[annotation["image_id"]]
        assert index.name(row) == image["file_name"]
        assert (index.capture[row], index.frame[row]) == (image["capture"], image["frame_idx"])
        assert index.about["sequences"][index.sequence[row]] == image["seq_name"]
        left, top, width, height = annotation["bbox"]
        np.testing.assert_allclose(index.box[row], [left, top, left + width, top + height], rtol=1e-6)
        capture, frame = str(image["capture"]), str(image["frame_idx"])
        view = {key: values[image["camera"]] for key, values in camera[capture].items()}
        number = index.camera[row]
        np.testing.assert_allclose(index.camera_position[number] * 1000, view["campos"])
        np.testing.assert_allclose(index.camera_rotation[number], view["camrot"])
        np.testing.assert_allclose(index.focal[number], view["focal"])
        np.testing.assert_allclose(index.principal[number], view["princpt"])
        step = joints[capture][frame]
        for dataset_joint, openpose_joint in enumerate(OPENPOSE_OF_DATASET):
            for side in range(2):
                position = 21 * side + dataset_joint
                np.testing.assert_allclose(
                    index.joints[index.step[row], side, openpose_joint] * 1000, step["world_coord"][position]
                )
                expected = annotation["joint_valid"][position] and step["joint_valid"][position][0]
                assert valid[row, side, openpose_joint] == bool(expected)
        for side, label in enumerate(("right", "left")):
            for key, name in (("pose", "pose"), ("shape", "shape"), ("trans", "translation")):
                stored = getattr(index, name)[index.step[row], side]
                np.testing.assert_allclose(stored, fits[capture][frame][label][key], rtol=1e-6)
    order = list(zip(index.capture, index.sequence, index.camera, index.frame))
    assert order == sorted(order)


def test_index_is_cached_until_a_source_changes(sources, tmp_path):
    path = tmp_path / "index.safetensors"
    shown = StringIO()
    console = Console(file=shown, force_terminal=True)
    first = open_index(sources, path, console)
    assert "data.json" in shown.getvalue()
    shown.truncate(0)
    written = path.stat().st_mtime_ns
    again = open_index(sources, path, console)
    assert shown.getvalue().strip("\0") == ""
    assert path.stat().st_mtime_ns == written
    for name in ("annotation_id", "names", "joints", "view_valid", "pose"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    assert again.about == first.about

    os.utime(sources.camera, ns=(1, 1))
    open_index(sources, path)
    assert path.stat().st_mtime_ns != written

    path.write_bytes(path.read_bytes()[:1000])
    assert len(open_index(sources, path)) == 400  # damaged: rebuilt
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.lock", "index.safetensors"]


def test_index_is_built_without_writable_cache(sources, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    assert len(open_index(sources, tmp_path / "file" / "index")) == 400
    assert "cannot cache the index" in caplog.text


def test_concurrent_processes_build_it_once(sources, tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    processes = [
        context.Process(target=open_and_count_builds, args=(sources, tmp_path / "index", barrier), daemon=True)
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT)
    assert sorted(process.exitcode for process in processes) == [0, 1]


MEASURE = """
import resource, sys, time
from lgnet_core.data.interhand26m import InterHand26M, SplitFiles
from pathlib import Path
folder = Path(sys.argv[1])
files = [folder / name for name in ("data.json", "camera.json", "joint_3d.json", ".", "fits.json")]
sources = SplitFiles(*files)
start = time.perf_counter()
images = InterHand26M(sources, cache=folder / "index.safetensors")
seconds = time.perf_counter() - start
print(len(images), seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def _measure(folder: Path) -> tuple[int, float, float, float]:
    """Number of images, seconds to open, peak memory in GiB, and seconds of the whole process, in a subprocess."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", MEASURE, str(folder)], capture_output=True, text=True, check=True)
    count, seconds, memory = done.stdout.split()
    return int(count), float(seconds), float(memory), time.perf_counter() - start


@pytest.mark.slow
def test_300_000_rows_in_little_memory(tmp_path):
    write_annotations(tmp_path, 300_000)
    size = sum(path.stat().st_size for path in tmp_path.iterdir()) / 1e6
    count, seconds_to_build, memory, _ = _measure(tmp_path)
    print(f"\n300,000 rows, {size:.0f} MB: index built in {seconds_to_build:.0f} s, {memory:.2f} GiB peak memory")
    assert count == 300_000
    assert memory < 2
    built = (tmp_path / "index.safetensors").stat().st_mtime_ns
    count, seconds, memory, whole = _measure(tmp_path)
    kept = (tmp_path / "index.safetensors").stat().st_size / 1e6
    print(f"opened in {seconds:.2f} s ({whole:.1f} s with Python's startup), {kept:.0f} MB, {memory:.2f} GiB")
    assert count == 300_000
    assert (tmp_path / "index.safetensors").stat().st_mtime_ns == built, "the index must be read, not built again"
