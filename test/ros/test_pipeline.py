"""An image's way from subscription to publishers: the newest wins, rates are kept, one failure costs one image."""

from __future__ import annotations

import array
import threading
from collections.abc import Iterator

import pytest
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from support.fixed_hands import FixedTracker
from support.ros_node import lone_node
from support.ros_world import wait_for

from lgnet_core.types import Camera, FloatArray, TwoHands
from lgnet_ros.parameters import Settings
from lgnet_ros.perception import PerceptionResult, nanoseconds
from lgnet_ros.pipeline import Pipeline
from lgnet_ros.statistics import Snapshot, Statistics

PERIOD = 33_333_333  # nanoseconds between two images


class SlowTracker(FixedTracker):
    """Looks at an image for as long as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.looking = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.go_on.set()

    def update(self, image: FloatArray, camera: Camera | None, stamp_ns: int) -> TwoHands:
        self.looking.release()
        assert self.go_on.wait(30)
        return super().update(image, camera, stamp_ns)


class Publishers:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.published: list[tuple[PerceptionResult, Settings]] = []
        self.watched = 0

    def publish(self, seen: PerceptionResult, settings: Settings) -> None:
        self.published.append((seen, settings))

    def overlay_wanted(self, settings: Settings) -> bool:
        return False

    def watch(self) -> None:
        self.watched += 1

    def problems(self) -> list[str]:
        return ["/hands/mesh: nobody"]


class Desk:
    """A session with everything around it in view; images are handed to it as the executor does."""

    def __init__(self, node: Node, **settings: object) -> None:
        self.settings = Settings(**settings)  # type: ignore[arg-type]
        self.tracker, self.publishers, self.statistics = SlowTracker(), Publishers(), Statistics()
        self.session = Pipeline(
            node,  # type: ignore[arg-type]
            self.tracker,  # type: ignore[arg-type]
            self.publishers,  # type: ignore[arg-type]
            self.statistics,
            lambda: self.settings,
        )
        self.session._calibrations.put(
            CameraInfo(width=64, height=48, k=[50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0])
        )
        self.session.start()

    def shoot(self, count: int = 1, mark: int = 255, encoding: str = "rgb8") -> None:
        """Images of a camera at 30 Hz, all at once."""
        for _ in range(count):
            data = array.array("B", bytes([mark]) * 9216)
            message = Image(width=64, height=48, step=192, encoding=encoding, data=data)
            stamp = 10**12 + self.snapshot.received * PERIOD
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
            self.session._on_image(message)

    @property
    def snapshot(self) -> Snapshot:
        return self.statistics.snapshot()

    @property
    def stamps(self) -> list[int]:
        """Of what was published, as counts of images."""
        return [
            round((nanoseconds(seen.message.header.stamp) - 10**12) / PERIOD) for seen, _ in self.publishers.published
        ]


@pytest.fixture
def node() -> Iterator[Node]:
    with lone_node() as node:
        yield node


@pytest.fixture
def desk(node: Node) -> Iterator[Desk]:
    desk = Desk(node)
    yield desk
    desk.tracker.go_on.set()
    assert desk.session.stop(10)


def test_the_newest_image_is_looked_at_next_and_every_other_counted(desk: Desk) -> None:
    desk.tracker.go_on.clear()
    desk.shoot()
    assert desk.tracker.looking.acquire(timeout=10)
    desk.shoot(5)
    assert (desk.snapshot.received, desk.snapshot.dropped, desk.snapshot.processed) == (6, 4, 0)
    desk.tracker.go_on.set()
    wait_for(lambda: desk.snapshot.processed == 2)
    assert desk.stamps == [0, 5]
    assert desk.snapshot.dropped == 4


def test_images_beyond_max_rate_are_left_out_and_not_counted_as_dropped(desk: Desk) -> None:
    desk.settings = Settings(max_rate=10.0)
    for k in range(30):
        desk.shoot()
        wait_for(lambda k=k: desk.snapshot.processed == k // 3 + 1)
    assert desk.stamps == list(range(0, 30, 3))
    assert (desk.snapshot.received, desk.snapshot.dropped) == (30, 0)
    desk.settings = Settings()  # from the next image on
    desk.shoot()
    wait_for(lambda: desk.stamps[-1] == 30)


def test_a_image_is_published_with_the_settings_it_was_looked_at_with(desk: Desk) -> None:
    desk.tracker.go_on.clear()
    before = desk.settings
    desk.shoot()
    assert desk.tracker.looking.acquire(timeout=10)
    desk.settings = Settings(presence_threshold=0.9)
    desk.tracker.go_on.set()
    wait_for(lambda: desk.publishers.published)
    assert desk.publishers.published[0][1] is before


def test_a_image_that_does_not_end_is_seen_in_the_statistics(desk: Desk) -> None:
    desk.tracker.go_on.clear()
    assert desk.snapshot.waiting is None
    desk.shoot()
    assert desk.tracker.looking.acquire(timeout=10)
    first = desk.snapshot.waiting
    desk.shoot(3)
    assert desk.snapshot.waiting > first >= 0
    desk.tracker.go_on.set()
    wait_for(lambda: desk.snapshot.processed == 2)
    assert desk.snapshot.waiting is None


def test_every_stage_is_timed(desk: Desk) -> None:
    desk.shoot()
    wait_for(lambda: desk.snapshot.processed)
    assert list(desk.snapshot.latency) == ["wait", "decode", "calibration", "network", "publish", "total"]
    medians = {stage: median for stage, (median, _) in desk.snapshot.latency.items()}
    total = medians.pop("total")
    assert 0 <= sum(medians.values()) <= total < 10
    assert desk.snapshot.last_stamp == 10**12


def test_one_failure_costs_one_image(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    for how in ({"encoding": "32FC1"}, {"mark": 1}, {"mark": 3}, {}):
        before = sum((desk.snapshot.failed, desk.snapshot.processed, *desk.snapshot.rejected.values()))
        desk.shoot(**how)  # type: ignore[arg-type]
        wait_for(
            lambda b=before: sum((desk.snapshot.failed, desk.snapshot.processed, *desk.snapshot.rejected.values())) > b
        )
    told = desk.snapshot
    assert (told.rejected, told.failed, told.processed) == ({"image_encoding": 1}, 2, 1)
    assert told.last_failure == "the memory of cuda:0 is full"
    log = capfd.readouterr().err
    assert "image rejected: encoding '32FC1'" in log
    assert "image lost: no hand at all fits this image" in log
    assert "Traceback" in log


def test_an_uncalibrated_image_is_counted_and_not_published(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    desk.session._calibrations.put(CameraInfo(width=64, height=48))
    desk.shoot()
    wait_for(lambda: desk.snapshot.uncalibrated == 1)
    assert "/left/camera_info says that the camera is not calibrated" in capfd.readouterr().err
    assert desk.publishers.published == []


def test_stopping_waits_for_the_image_at_work_but_not_for_ever(node: Node) -> None:
    desk = Desk(node)
    desk.tracker.go_on.clear()
    desk.shoot()
    assert desk.tracker.looking.acquire(timeout=10)
    assert not desk.session.stop(0.05)
    desk.tracker.go_on.set()
    assert desk.session.stop(10)
    desk.shoot(3)  # what still comes is thrown away
    assert desk.snapshot.processed == 1
    assert node.count_subscribers("/left/image") == 0


def test_a_new_session_forgets_the_hands_of_the_last(node: Node) -> None:
    """They may be anywhere after a pause."""
    desk = Desk(node)
    assert desk.tracker.resets == 1
    desk.session.stop(10)


def test_silence_is_told_when_it_has_lasted(node: Node, capfd: pytest.CaptureFixture[str]) -> None:
    desk = Desk(node, image_timeout=0.2)
    desk.session.watch()
    assert "no image" not in capfd.readouterr().err
    log = ""

    def told() -> bool:
        nonlocal log
        desk.session.watch()
        log += capfd.readouterr().err
        return "no image for 0 s" in log

    wait_for(told)
    assert "/left/image: nobody publishes there" in log
    assert desk.publishers.watched > 1
    desk.session.stop(10)


def test_what_does_not_fit_is_told_of_both_sides(desk: Desk) -> None:
    assert desk.session.qos_problems == ["/hands/mesh: nobody"]
    assert set(desk.session.qos) == {"/left/image", "/left/camera_info"}


def test_compressed_images_have_a_topic_of_their_own(node: Node) -> None:
    desk = Desk(node, image_transport="compressed")
    types = dict(node.get_topic_names_and_types())
    assert types["/left/image/compressed"] == [f"sensor_msgs/msg/{CompressedImage.__name__}"]
    assert "/left/image" not in types
    desk.session.stop(10)
