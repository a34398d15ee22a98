"""The node over and over: hundreds of lifecycles, thousands of bad messages, and it is as it was."""

from __future__ import annotations

import array
import math
import threading

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lifecycle_msgs.msg import State
from sensor_msgs.msg import CameraInfo, Image
from support.fixed_hands import FixedTracker
from support.memory import MEBIBYTE, growth, resident
from support.ros_world import HandsProcess, wait_for

from lgnet_ros.input.invalid_message import REASONS
from lgnet_ros.node import HandsNode
from lgnet_ros.process.lifecycle import LifecycleClient

LIFECYCLES, WINDOW = 200, 20
MESSAGES = 10_000


@pytest.mark.timeout(900)  # two and a half minutes on two slow cores
def test_lifecycles(world, tmp_path):
    """Up and down 200 times with a small network: never a failure, and no memory lost (make soak: 1,000 times)."""
    node = HandsProcess(world, tmp_path / "log", "small")
    sizes = []
    for _ in range(LIFECYCLES):
        node.bring_up()
        node.take_down()
        sizes.append(resident(node.process.pid))
    grown = growth(sizes)
    assert node.lifecycle.state() == State.PRIMARY_STATE_UNCONFIGURED
    assert node.end() == 0
    assert grown < 5 * MEBIBYTE, f"{grown / MEBIBYTE:.1f} MiB more than at first"
    assert not node.says("ERROR")
    node.lifecycle.destroy()


NUMBERS = st.sampled_from([0, 1, 2, 7, 63, 64, 640, 2**31, 2**32 - 1])
ENCODINGS = st.sampled_from(
    ["rgb8", "bgr8", "mono8", "mono16", "yuv422", "bayer_rggb8", "nv21", "32FC1", "", "rgb9", "ä"]
)


@st.composite
def bad_images(draw: st.DrawFn) -> Image:
    """Images of which at least one thing is wrong: size, step, encoding, amount of data."""
    message = Image(
        width=draw(NUMBERS), height=draw(NUMBERS), step=draw(NUMBERS), encoding=draw(ENCODINGS),
        is_bigendian=draw(st.integers(0, 1)), data=array.array("B", bytes(draw(st.integers(0, 64)))),
    )  # fmt: skip
    message.header.frame_id = draw(st.sampled_from(["", "camera"]))
    return message  # 64 bytes are too few for any image that is large enough


@st.composite
def bad_calibrations(draw: st.DrawFn) -> CameraInfo:
    """CameraInfoCache that no image of 64x48 can have."""
    odd = st.sampled_from([math.nan, math.inf, -1.0, 0.0, 1e308])
    message = CameraInfo(width=64, height=48, k=[50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0])
    kind = draw(st.sampled_from(["values", "size", "model", "roi"]))
    if kind == "values":
        message.k[draw(st.sampled_from([4, 8]))] = draw(odd.filter(lambda x: x != 1e308))
    elif kind == "size":
        message.width = draw(st.integers(0, 63))
    elif kind == "model":
        message.distortion_model, message.d = "equidistant", [0.1, 0.0, 0.0, 0.0]
    else:
        message.roi.x_offset, message.roi.width, message.roi.height = draw(st.integers(1, 64)), 64, 48
    return message


def good_image() -> Image:
    return Image(width=64, height=48, step=192, encoding="rgb8", data=array.array("B", bytes([9]) * 9216))


def test_bad_messages(world):
    """10,000 bad images and calibrations, each counted with its reason; then a good one, and hands."""
    node = HandsNode(lambda settings: FixedTracker(), context=world.context, use_global_arguments=False)
    world.executor.add_node(node)
    client = LifecycleClient(world.node, "/hands")
    client.bring_up()
    session, statistics = node._session, node.diagnostics.statistics
    count, counted, sent = statistics.rejected, threading.Semaphore(0), 0
    statistics.rejected = lambda key: (count(key), counted.release())

    @settings(
        max_examples=200, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck), deadline=None
    )
    @given(st.lists(st.one_of(bad_images(), bad_calibrations()), min_size=25, max_size=25))
    def send(messages: list[Image | CameraInfo]) -> None:
        nonlocal sent
        for message in messages + messages[::-1]:
            if isinstance(message, CameraInfo):
                session._calibrations.put(message)
            session._on_image(good_image() if isinstance(message, CameraInfo) else message)
            assert counted.acquire(timeout=10), f"not rejected: {message}"
            sent += 1

    send()
    snapshot = statistics.snapshot()
    assert sum(snapshot.rejected.values()) == sent >= MESSAGES
    assert set(snapshot.rejected) <= set(REASONS)
    assert len(snapshot.rejected) >= 6, snapshot.rejected
    assert (snapshot.failed, snapshot.processed, snapshot.dropped) == (0, 0, 0)
    assert client.state() == State.PRIMARY_STATE_ACTIVE

    session._calibrations.put(CameraInfo(width=64, height=48, k=[50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0]))
    session._on_image(good_image())
    wait_for(lambda: statistics.snapshot().processed == 1)
    client.destroy()
    world.executor.remove_node(node)
    node.destroy_node()
