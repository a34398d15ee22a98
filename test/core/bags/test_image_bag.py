"""Images and calibrations of bags: every storage, topics by type, and errors that name what there is."""

from __future__ import annotations

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin
from support.bags import (
    DELAY,
    FIRST_STAMP,
    PERIOD,
    camera_info,
    camera_messages,
    header,
    make,
    write_bag,
)

from lgnet_core.bags.image_bag import ImageBag
from lgnet_core.io.files import InputError
from lgnet_core.messages.camera_info_lookup import stamp_ns
from lgnet_core.messages.compressed import decode_compressed
from lgnet_core.messages.image import decode_raw
from lgnet_core.types import Camera

CAMERA = Camera(np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]]), 64, 48)
FRAMES = [np.random.default_rng(k).integers(0, 256, (48, 64, 3), np.uint8) for k in range(3)]


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize("single_file", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_images_in_order_with_their_times_and_calibration(tmp_path, storage, single_file, compressed):
    path = write_bag(tmp_path / "drive", camera_messages(FRAMES, CAMERA, compressed=compressed), storage)
    if single_file:
        path = next(file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))
    with ImageBag(path) as bag:
        assert (bag.image_topic, bag.camera_info_topic) == ("/camera/image_raw", "/camera/camera_info")
        assert len(bag) == 3
        read = list(bag)
        for k, (time, message) in enumerate(read):
            assert time == FIRST_STAMP + k * PERIOD + DELAY
            pixels = decode_compressed(message) if compressed else decode_raw(message)
            np.testing.assert_array_equal(pixels, FRAMES[k])
            info = bag.camera_infos.lookup(message.header)
            assert stamp_ns(info.header) == stamp_ns(message.header) == FIRST_STAMP + k * PERIOD
            np.testing.assert_array_equal(np.reshape(info.k, (3, 3)), CAMERA.matrix)


def test_several_topics_with_images_must_be_chosen_from(tmp_path):
    messages = camera_messages(FRAMES, CAMERA) + camera_messages(FRAMES, CAMERA, "/other", compressed=True)
    path = write_bag(tmp_path / "drive", messages)
    several = (
        r"drive: has several topics with images; choose one with --image-topic: "
        r"/camera/image_raw \(3 messages\), /other/image_raw/compressed \(3 messages\)"
    )
    with pytest.raises(InputError, match=several), ImageBag(path):
        pass
    for topic in ("/other/image_raw/compressed", "/other/image_raw"):
        with ImageBag(path, topic) as bag:
            assert (bag.image_topic, bag.camera_info_topic) == ("/other/image_raw", "/other/camera_info")
    with (
        pytest.raises(InputError, match=r"has no images on /nowhere; there are /camera/image_raw"),
        ImageBag(path, "/nowhere"),
    ):
        pass


def test_a_bag_without_images_lists_its_topics(tmp_path):
    joints = make(
        "sensor_msgs/JointState",
        header=header(1),
        name=[],
        position=np.zeros(0),
        velocity=np.zeros(0),
        effort=np.zeros(0),
    )
    path = write_bag(tmp_path / "drive", [("/joint_states", joints)])
    with pytest.raises(InputError, match=r"has no images .*; its topics: /joint_states"), ImageBag(path):
        pass


def test_a_missing_calibration_is_an_error(tmp_path):
    images = [(topic, message) for topic, message in camera_messages(FRAMES, CAMERA) if "info" not in topic]
    path = write_bag(tmp_path / "none", images)
    with (
        pytest.raises(InputError, match=r"no camera_info on /camera/camera_info.*none at all; record it"),
        ImageBag(path),
    ):
        pass
    path = write_bag(tmp_path / "elsewhere", [*images, ("/calibration", camera_info(CAMERA, FIRST_STAMP))])
    with (
        pytest.raises(InputError, match=r"there are /calibration \(1 messages\); choose one with --camera-info-topic"),
        ImageBag(path),
    ):
        pass
    with ImageBag(path, camera_info_topic="/calibration") as bag:
        assert all(bag.camera_infos.lookup(message.header) is not None for _, message in bag)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nowhere.mcap", None, "no such bag; check the path"),
        ("noise.mcap", b"noise", "cannot be read as a bag.*repair it"),
        ("a.gif", b"GIF", "cannot be read as a bag"),
        ("empty.db3", b"", "cannot be read as a bag"),
    ],
)
def test_files_that_are_no_bags(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: {message}"), ImageBag(tmp_path / name):
        pass


def test_a_folder_that_is_no_bag(tmp_path):
    with (
        pytest.raises(InputError, match=r"has no metadata\.yaml; pass the folder that ros2 bag record wrote"),
        ImageBag(tmp_path),
    ):
        pass


def test_a_bag_that_was_cut_off(tmp_path):
    path = write_bag(tmp_path / "drive", camera_messages([np.zeros((48, 64, 3), np.uint8), *FRAMES], CAMERA))
    (file,) = path.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: -file.stat().st_size // 3])
    with pytest.raises(InputError, match=r"cannot be read .*mcap recover"), ImageBag(path):
        pass


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize("damaged", ["metadata", "middle", "end"])
def test_damage_is_named_whatever_the_library_raises(tmp_path, storage, damaged):
    """While the bag is opened, or while its images are read."""
    path = write_bag(tmp_path / "drive", camera_messages(20 * [*FRAMES], CAMERA), storage)
    (file,) = (file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))
    content = file.read_bytes()
    third = len(content) // 3
    if damaged == "metadata":
        (path / "metadata.yaml").write_bytes(b"\xff\xfe\0")
    elif damaged == "middle":
        file.write_bytes(content[:third] + third * b"\xff" + content[2 * third :])
    else:
        file.write_bytes(content[:-100])
    expected = pytest.raises(InputError, match=r"drive: cannot be read as a bag .*repair it with")
    with expected as caught, ImageBag(path) as bag:
        list(bag)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%20b"])
def test_names_that_sqlite_cannot_open_are_refused(tmp_path, name):
    path = write_bag(tmp_path / "drive", camera_messages(FRAMES, CAMERA), StoragePlugin.SQLITE3).rename(tmp_path / name)
    with pytest.raises(InputError, match=r"drive\.db3: the path of an sqlite bag cannot have \?, # or %; rename it"):
        ImageBag(path).__enter__()
    with ImageBag(path.rename(tmp_path / "a b:%'\"\n")) as bag:
        assert len(list(bag)) == len(FRAMES)
