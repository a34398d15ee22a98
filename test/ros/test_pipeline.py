"""Tests of the image processing pipeline: latest image, rate limit, errors, statistics, logs."""

from __future__ import annotations

import array
import threading
import time
import types
from collections.abc import Iterator

import pytest
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from support.fixed_hands import FixedTracker
from support.ros_node import isolated_node
from support.waiting import TIMEOUT, wait_for

from lgnet_core.inference import DepthSource
from lgnet_core.types import Camera, FloatArray, ImageHands
from lgnet_ros.diagnostics.statistics import Snapshot, Statistics
from lgnet_ros.parameters.settings import Settings
from lgnet_ros.perception.hand_measurement import HandMeasurement
from lgnet_ros.perception.perception import PerceptionResult
from lgnet_ros.pipeline import Pipeline
from lgnet_ros.rate_limit import stamp_to_ns

PERIOD = 33_333_333  # nanoseconds between two images


class BlockingTracker(FixedTracker):
    """Blocks in :meth:`update_people` until ``resume`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.started = threading.Semaphore(0)
        self.resume = threading.Event()
        self.resume.set()

    def update_people(
        self, image: FloatArray, camera: Camera | None, stamp_ns: int, depth: DepthSource | None = None
    ) -> ImageHands:
        self.started.release()
        assert self.resume.wait(TIMEOUT)
        return super().update_people(image, camera, stamp_ns, depth)


class PublisherStub:
    """Records the published results."""

    def __init__(self) -> None:
        self.published: list[tuple[PerceptionResult, Settings]] = []
        self.num_reports = 0
        self.subscribed = True

    def publish(self, result: PerceptionResult, settings: Settings) -> None:
        self.published.append((result, settings))

    overlay = False

    def requested(self, settings: Settings) -> bool:
        return self.subscribed

    def overlay_requested(self, settings: Settings) -> bool:
        return self.overlay

    def report_qos_problems(self) -> None:
        self.num_reports += 1

    def expire(self, timeout: float) -> None:
        self.expired = timeout

    def qos_problems(self) -> list[str]:
        return ["/hands/mesh: incompatible"]


class PipelineHarness:
    """A pipeline with stub tracker and publisher; images are passed to it like by the executor."""

    def __init__(self, node: Node, **settings: object) -> None:
        self.settings = Settings(**settings)  # type: ignore[arg-type]
        self.tracker, self.publisher, self.statistics = BlockingTracker(), PublisherStub(), Statistics()
        self.measurement = HandMeasurement(node, lambda: self.settings, lambda: None)
        self.pipeline = Pipeline(
            node,  # type: ignore[arg-type]
            self.tracker,  # type: ignore[arg-type]
            self.publisher,  # type: ignore[arg-type]
            self.statistics,
            lambda: self.settings,
            self.measurement,
        )
        self.pipeline._camera_infos.put(
            CameraInfo(width=64, height=48, k=[50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0])
        )
        self.pipeline.start()

    def receive(self, count: int = 1, value: int = 255, encoding: str = "rgb8") -> None:
        """Pass images to the pipeline at once, with stamps of a 30 Hz camera."""
        for _ in range(count):
            data = array.array("B", bytes([value]) * 9216)
            message = Image(width=64, height=48, step=192, encoding=encoding, data=data)
            stamp = 10**12 + self.snapshot.received * PERIOD
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
            self.pipeline._on_image(message)

    @property
    def snapshot(self) -> Snapshot:
        return self.statistics.snapshot()

    @property
    def stamps(self) -> list[int]:
        """Indices of the published images."""
        return [round((stamp_to_ns(result.header.stamp) - 10**12) / PERIOD) for result, _ in self.publisher.published]


@pytest.fixture
def node() -> Iterator[Node]:
    with isolated_node() as node:
        yield node


@pytest.fixture
def harness(node: Node) -> Iterator[PipelineHarness]:
    harness = PipelineHarness(node)
    yield harness
    harness.tracker.resume.set()
    assert harness.pipeline.stop(TIMEOUT)


def test_only_the_latest_image_is_processed_and_others_are_counted_as_dropped(harness: PipelineHarness) -> None:
    harness.tracker.resume.clear()
    harness.receive()
    assert harness.tracker.started.acquire(timeout=TIMEOUT)
    harness.receive(5)
    assert (harness.snapshot.received, harness.snapshot.dropped, harness.snapshot.processed) == (6, 4, 0)
    harness.tracker.resume.set()
    wait_for(lambda: harness.snapshot.processed == 2)
    assert harness.stamps == [0, 5]
    assert harness.snapshot.dropped == 4


def test_images_above_max_rate_are_skipped_and_not_counted_as_dropped(harness: PipelineHarness) -> None:
    harness.settings = Settings(max_rate=10.0)
    for k in range(30):
        harness.receive()
        wait_for(lambda k=k: harness.snapshot.processed == k // 3 + 1)
    assert harness.stamps == list(range(0, 30, 3))
    assert (harness.snapshot.received, harness.snapshot.dropped) == (30, 0)
    harness.settings = Settings()  # applies to the next image
    harness.receive()
    wait_for(lambda: harness.stamps[-1] == 30)


def test_images_rest_without_subscribers_if_lazy(harness: PipelineHarness) -> None:
    harness.publisher.subscribed = False
    harness.receive(3)
    assert harness.pipeline.idle
    assert (harness.snapshot.received, harness.snapshot.pending_time) == (3, None)
    harness.publisher.subscribed = True
    harness.receive()
    wait_for(lambda: harness.snapshot.processed == 1)
    assert harness.stamps == [3], "only the image after the subscription"
    harness.settings, harness.publisher.subscribed = Settings(lazy=False), False
    harness.receive()
    wait_for(lambda: harness.snapshot.processed == 2)
    assert not harness.pipeline.idle


@pytest.mark.parametrize(
    ("remappings", "image", "info"),
    [
        ([], "/left/image", "/left/camera_info"),
        (["image:=/cam/color/image_raw"], "/cam/color/image_raw", "/cam/color/camera_info"),
        (["image:=/image"], "/image", "/camera_info"),
        (["camera_info:=/other/info"], "/left/image", "/other/info"),
        (["image:=/cam/image", "camera_info:=/other/info"], "/cam/image", "/other/info"),
    ],
)
def test_camera_info_is_the_topic_beside_the_image_unless_remapped(
    remappings: list[str], image: str, info: str
) -> None:
    arguments = [part for remapping in remappings for part in ("-r", remapping)]
    with isolated_node(cli_args=["--ros-args", *arguments]) as node:
        harness = PipelineHarness(node)
        assert set(harness.pipeline.qos_status) == {image, info}
        harness.pipeline.stop(10)


def test_an_image_is_published_with_the_settings_it_was_processed_with(harness: PipelineHarness) -> None:
    harness.tracker.resume.clear()
    initial = harness.settings
    harness.receive()
    assert harness.tracker.started.acquire(timeout=TIMEOUT)
    harness.settings = Settings(presence_threshold=0.9)
    harness.tracker.resume.set()
    wait_for(lambda: harness.publisher.published)
    assert harness.publisher.published[0][1] is initial


def test_pending_time_grows_while_an_image_is_processed(harness: PipelineHarness) -> None:
    harness.tracker.resume.clear()
    assert harness.snapshot.pending_time is None
    harness.receive()
    assert harness.tracker.started.acquire(timeout=TIMEOUT)
    first = harness.snapshot.pending_time
    harness.receive(3)
    assert harness.snapshot.pending_time > first >= 0
    harness.tracker.resume.set()
    wait_for(lambda: harness.snapshot.processed == 2)
    assert harness.snapshot.pending_time is None


def test_all_stages_are_timed(harness: PipelineHarness) -> None:
    harness.receive()
    wait_for(lambda: harness.snapshot.processed)
    assert list(harness.snapshot.latency) == ["wait", "decode", "calibration", "network", "publish", "total"]
    medians = {stage: median for stage, (median, _) in harness.snapshot.latency.items()}
    total = medians.pop("total")
    assert 0 <= sum(medians.values()) <= total
    assert harness.snapshot.last_stamp == 10**12


def test_error_affects_only_its_image(harness: PipelineHarness, capfd: pytest.CaptureFixture[str]) -> None:
    for options in ({"encoding": "32FC1"}, {"value": 1}, {"value": 3}, {}):
        before = sum((harness.snapshot.failed, harness.snapshot.processed, *harness.snapshot.rejected.values()))
        harness.receive(**options)  # type: ignore[arg-type]
        wait_for(
            lambda b=before: (
                sum((harness.snapshot.failed, harness.snapshot.processed, *harness.snapshot.rejected.values())) > b
            )
        )
    snapshot = harness.snapshot
    assert (snapshot.rejected, snapshot.failed, snapshot.processed) == ({"image_encoding": 1}, 2, 1)
    assert snapshot.last_error == "the memory of cuda:0 is full"
    log = capfd.readouterr().err
    assert "Image rejected: encoding '32FC1'" in log
    assert "Failed to process image: no hand at all fits this image" in log
    assert "Traceback" in log


def test_each_kind_of_rejected_image_is_logged(harness: PipelineHarness, capfd: pytest.CaptureFixture[str]) -> None:
    """Two kinds that alternate: neither hides the other, and none is logged twice."""
    for k in range(10):
        harness.receive(encoding="32FC1" if k % 2 else "rgba8")
        wait_for(lambda k=k: sum(harness.snapshot.rejected.values()) == k + 1)
    log = capfd.readouterr().err
    assert log.count("Image rejected: encoding '32FC1'") == log.count("Image rejected: step is 192") == 1


def test_headers_and_competing_publishers_are_reported_once(
    node: Node, harness: PipelineHarness, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the diagnostics as long as they last, in the log once."""
    cameras = [Node(name, context=node.context, use_global_arguments=False) for name in ("left_eye", "right_eye")]
    publishers = [camera.create_publisher(Image, "/left/image", 5) for camera in cameras]
    harness.receive(3)
    wait_for(lambda: harness.pipeline.monitor() or "publishers of /left/image" in harness.snapshot.recent_warnings)
    harness.pipeline.monitor()
    warnings = harness.snapshot.recent_warnings
    assert {"frame_id_empty", "stamp_offset"} <= set(warnings)
    assert "/left_eye" in warnings["publishers of /left/image"]
    assert "/right_eye" in warnings["publishers of /left/image"]
    log = capfd.readouterr().err
    assert all(log.count(text) == 1 for text in warnings.values())
    del publishers
    for camera in cameras:
        camera.destroy_node()


def test_calibration_ends_with_its_publisher(
    node: Node, harness: PipelineHarness, capfd: pytest.CaptureFixture[str]
) -> None:
    """A camera without calibration must not be given that of the camera before it."""
    camera = Node("camera", context=node.context, use_global_arguments=False)
    publisher = camera.create_publisher(CameraInfo, "/left/camera_info", 5)
    wait_for(lambda: harness.pipeline.monitor() or node.count_publishers("/left/camera_info"))
    harness.pipeline.monitor()
    harness.receive()
    wait_for(lambda: harness.snapshot.processed == 1)
    camera.destroy_publisher(publisher)
    wait_for(lambda: node.count_publishers("/left/camera_info") == 0)
    harness.pipeline.monitor()
    harness.receive()
    wait_for(lambda: harness.snapshot.uncalibrated == 1)
    assert "The publisher of /left/camera_info is gone" in capfd.readouterr().err
    assert "No camera_info received on /left/camera_info" in harness.snapshot.uncalibrated_reason
    camera.destroy_node()


def test_uncalibrated_image_is_counted_and_not_published(
    harness: PipelineHarness, capfd: pytest.CaptureFixture[str]
) -> None:
    harness.pipeline._camera_infos.put(CameraInfo(width=64, height=48))
    harness.receive()
    wait_for(lambda: harness.snapshot.uncalibrated == 1)
    assert "Camera is not calibrated (K is zero in /left/camera_info)" in capfd.readouterr().err
    assert harness.publisher.published == []


def test_stop_waits_for_the_current_image_with_a_timeout(node: Node) -> None:
    harness = PipelineHarness(node)
    harness.tracker.resume.clear()
    harness.receive()
    assert harness.tracker.started.acquire(timeout=TIMEOUT)
    assert not harness.pipeline.stop(0.05)
    harness.tracker.resume.set()
    assert harness.pipeline.stop(TIMEOUT)
    harness.receive(3)  # later images are discarded
    assert harness.snapshot.processed == 1
    assert node.count_subscribers("/left/image") == 0


def test_new_pipeline_resets_the_tracker(node: Node) -> None:
    """After a pause the hands can be anywhere."""
    harness = PipelineHarness(node)
    assert harness.tracker.resets == 1
    harness.pipeline.stop(TIMEOUT)


def test_missing_images_are_reported_after_the_timeout(
    node: Node, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    clock = types.SimpleNamespace(monotonic=lambda: now, perf_counter=time.perf_counter)
    monkeypatch.setattr("lgnet_ros.pipeline.time", clock)
    harness = PipelineHarness(node, image_timeout=3.0)
    now += 2.9
    harness.pipeline.monitor()
    assert "No image" not in capfd.readouterr().err
    now += 0.2
    log = ""

    def reported() -> bool:
        nonlocal log
        harness.pipeline.monitor()
        log += capfd.readouterr().err
        return "No image received for 3.1 s on /left/image: no publishers" in log

    wait_for(reported)
    assert harness.publisher.num_reports > 1
    harness.pipeline.stop(TIMEOUT)


def test_qos_status_and_problems(harness: PipelineHarness) -> None:
    assert harness.pipeline.qos_problems == ["/hands/mesh: incompatible"]
    assert set(harness.pipeline.qos_status) == {"/left/image", "/left/camera_info"}


def test_compressed_transport_subscribes_to_the_compressed_topic(node: Node) -> None:
    harness = PipelineHarness(node, image_transport="compressed")
    types = dict(node.get_topic_names_and_types())
    assert types["/left/image/compressed"] == [f"sensor_msgs/msg/{CompressedImage.__name__}"]
    assert "/left/image" not in types
    harness.pipeline.stop(TIMEOUT)
