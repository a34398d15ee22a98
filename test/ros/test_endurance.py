"""Endurance tests of the node: many lifecycles, thousands of invalid messages."""

from __future__ import annotations

import array
import math
import threading

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lifecycle_msgs.msg import State
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from support.fixed_hands import FixedTracker
from support.memory import MEBIBYTE, ONE_HEAP, memory_growth, resident_memory
from support.ros_domain import HandsProcess
from support.waiting import TIMEOUT, wait_for

from lgnet_core.messages.invalid_message import REASONS
from lgnet_ros.node import HandsNode
from lgnet_ros.process.lifecycle import LifecycleClient


@pytest.mark.slow  # of fewer lifecycles, allocations that are made only once hide or imitate a leak
def test_lifecycles_do_not_leak(ros_domain, tmp_path):
    """200 lifecycles with the bundled networks, without errors or memory growth (make soak: 1000)."""
    node = HandsProcess(ros_domain, tmp_path / "log", "bundled", environment=ONE_HEAP)
    memory = []
    for _ in range(200):
        node.bring_up()
        node.take_down()
        memory.append(resident_memory(node.process.pid))
    growth = memory_growth(memory)
    assert node.lifecycle.state(TIMEOUT) == State.PRIMARY_STATE_UNCONFIGURED
    assert node.stop() == 0
    assert growth < 5 * MEBIBYTE, f"memory grew by {growth / MEBIBYTE:.1f} MiB"
    assert not node.logged("ERROR")
    node.lifecycle.destroy()


NUMBERS = st.sampled_from([0, 1, 2, 7, 63, 64, 640, 2**31, 2**32 - 1])
ENCODINGS = st.sampled_from(
    ["rgb8", "bgr8", "mono8", "mono16", "yuv422", "bayer_rggb8", "nv21", "32FC1", "", "rgb9", "ä"]
)


@st.composite
def invalid_images(draw: st.DrawFn) -> Image:
    """Images with an invalid size, step, encoding or amount of data."""
    message = Image(
        width=draw(NUMBERS), height=draw(NUMBERS), step=draw(NUMBERS), encoding=draw(ENCODINGS),
        is_bigendian=draw(st.integers(0, 1)), data=array.array("B", bytes(draw(st.integers(0, 64)))),
    )  # fmt: skip
    message.header.frame_id = draw(st.sampled_from(["", "camera"]))
    return message  # 64 bytes of data are too few for any image of valid size


@st.composite
def invalid_calibrations(draw: st.DrawFn) -> CameraInfo:
    """CameraInfo messages that are invalid for an image of 64x48 pixels."""
    invalid_value = st.sampled_from([math.nan, math.inf, -1.0, 0.0, 1e308])
    message = CameraInfo(width=64, height=48, k=[50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0])
    kind = draw(st.sampled_from(["values", "size", "model", "roi"]))
    if kind == "values":
        message.k[draw(st.sampled_from([4, 8]))] = draw(invalid_value.filter(lambda x: x != 1e308))
    elif kind == "size":
        message.width = draw(st.integers(0, 63))
    elif kind == "model":
        message.distortion_model, message.d = "equidistant", [0.1, 0.0, 0.0, 0.0]
    else:
        message.roi.x_offset, message.roi.width, message.roi.height = draw(st.integers(1, 64)), 64, 48
    return message


def valid_image() -> Image:
    return Image(width=64, height=48, step=192, encoding="rgb8", data=array.array("B", bytes([9]) * 9216))


@pytest.mark.parametrize("count", [3_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_invalid_messages_are_counted(ros_domain, count):
    """Invalid images and calibrations are each counted with their reason; then a valid image is processed."""
    node = HandsNode(
        lambda settings: FixedTracker(),
        context=ros_domain.context,
        use_global_arguments=False,
        parameter_overrides=[Parameter("lazy", value=False)],  # nothing subscribes here
    )
    ros_domain.executor.add_node(node)
    client = LifecycleClient(ros_domain.node, "/hands")
    client.bring_up(TIMEOUT, TIMEOUT)
    pipeline, statistics = node._pipeline, node.diagnostics.statistics
    record_rejected, counted, sent = statistics.record_rejected, threading.Semaphore(0), 0
    statistics.record_rejected = lambda key: (record_rejected(key), counted.release())

    @settings(
        max_examples=count // 50, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck),
        deadline=None,
    )  # fmt: skip
    @given(st.lists(st.one_of(invalid_images(), invalid_calibrations()), min_size=25, max_size=25))
    def send(messages: list[Image | CameraInfo]) -> None:
        nonlocal sent
        for message in messages + messages[::-1]:
            if isinstance(message, CameraInfo):
                pipeline._camera_infos.put(message)
            pipeline._on_image(valid_image() if isinstance(message, CameraInfo) else message)
            assert counted.acquire(timeout=TIMEOUT), f"not rejected: {message}"
            sent += 1

    send()
    snapshot = statistics.snapshot()
    assert sum(snapshot.rejected.values()) == sent >= count
    assert set(snapshot.rejected) <= set(REASONS)
    assert len(snapshot.rejected) >= 6, snapshot.rejected
    assert (snapshot.failed, snapshot.processed, snapshot.dropped) == (0, 0, 0)
    assert client.state(TIMEOUT) == State.PRIMARY_STATE_ACTIVE

    pipeline._camera_infos.put(CameraInfo(width=64, height=48, k=[50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0]))
    pipeline._on_image(valid_image())
    wait_for(lambda: statistics.snapshot().processed == 1)
    client.destroy()
    ros_domain.executor.remove_node(node)
    node.destroy_node()
