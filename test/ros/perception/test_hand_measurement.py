"""The service ``~/measure_hand`` of the node in its own process: lengths, refusals, and the parameter that it sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from std_srvs.srv import Trigger
from support.depth_camera import DepthCamera
from support.ros_domain import HandsProcess, RosDomain
from support.waiting import TIMEOUT, poll, wait_for

from lgnet_core.hand_model import load_hand_model

NO_HANDS, TWO_HANDS, FLAT_HAND = 0, 255, 4  # images for the fixed tracker
WRIST_DEPTH = 0.5  # metres, of the flat hand

Measure = Callable[..., Trigger.Response]


@pytest.fixture
def measure(ros_domain: RosDomain) -> Iterator[Measure]:
    """Calls the service and publishes images until it answers."""
    client = ros_domain.node.create_client(Trigger, "/hands/measure_hand")
    camera = DepthCamera(ros_domain)

    def call(value: int, depth: float | None = None, info: bool = True) -> Trigger.Response:
        assert client.wait_for_service(TIMEOUT)
        future = client.call_async(Trigger.Request())

        def publish_and_wait() -> bool:
            camera.publish(depth, value, info)
            return poll(future.done, 0.02)

        wait_for(publish_and_wait, "the answer")
        return future.result()

    def call_until(expected: str, *arguments: object, **options: object) -> Trigger.Response:
        """A slow machine may process too few images, or the images of the last call."""
        return wait_for(
            lambda: response if expected in (response := call(*arguments, **options)).message else None, expected
        )

    yield call_until
    ros_domain.node.destroy_client(client)
    camera.close()


def model_length() -> float:
    model = load_hand_model()
    rest = np.asarray(model.joints_from_vertices(model.v_template))[0]
    return float(np.linalg.norm(rest[12] - rest[0]))


def test_measured_with_depth_images(ros_domain: RosDomain, tmp_path: Path, measure: Measure) -> None:
    """Without a subscriber to any topic, although the node rests then (``lazy``)."""
    node = HandsProcess(ros_domain, tmp_path / "log", "fixed", "-p", "use_depth:=true")
    assert not measure("the node is not active; activate it first", FLAT_HAND).success
    node.bring_up()
    assert not measure("Depth is not used: no depth image received", FLAT_HAND).success
    assert not measure("no hand is in the image; show one", NO_HANDS, 0.4).success
    assert not measure("more than one hand is in the image; show one", TWO_HANDS, 0.4).success
    assert node.get_parameter("hand_length") == 0.0
    response = measure("hand_length is now", FLAT_HAND, 0.4)
    assert response.success
    assert "ros2 param dump /hands" in response.message
    expected = model_length() * 0.4 / WRIST_DEPTH
    assert node.get_parameter("hand_length") == pytest.approx(expected, abs=1e-3)
    assert f"{node.get_parameter('hand_length'):.4f} m" in response.message
    node.change(Transition.TRANSITION_DEACTIVATE)
    assert not measure("the node is not active", FLAT_HAND, 0.4).success
    assert node.get_parameter("hand_length") == pytest.approx(expected, abs=1e-3)
    assert node.stop() == 0


def test_measured_at_a_given_distance(ros_domain: RosDomain, tmp_path: Path, measure: Measure) -> None:
    node = HandsProcess(ros_domain, tmp_path / "log").bring_up()
    assert not measure("set measure_distance", FLAT_HAND, info=False).success
    (result,) = node.set_parameters(measure_distance=0.6)
    assert result.successful
    assert not measure("the camera is not calibrated", FLAT_HAND, info=False).success
    assert measure("hand_length is now", FLAT_HAND).success
    # The skin is in front of the wrist, whose depth is 0.5 m.
    assert model_length() * 0.6 / 0.5 < node.get_parameter("hand_length") < model_length() * 0.6 / 0.46
    assert node.logged("hand_length is now")
    node.set_parameters(measure_distance=4.0)
    assert not measure("is not the length of a hand", FLAT_HAND).success
    assert node.stop() == 0


def test_node_goes_on_while_it_waits_for_images(ros_domain: RosDomain, tmp_path: Path, measure: Measure) -> None:
    """A request is pending: parameters are still answered, and the node ends at once."""
    node = HandsProcess(ros_domain, tmp_path / "log", "fixed", "-p", "measure_distance:=0.5").bring_up()
    client = ros_domain.node.create_client(Trigger, "/hands/measure_hand")
    assert client.wait_for_service(TIMEOUT)
    pending = client.call_async(Trigger.Request())
    (result,) = node.set_parameters(measure_distance=0.6)
    assert result.successful
    wait_for(pending.done, "the answer without images")
    assert "too few images (0, at least" in pending.result().message
    client.call_async(Trigger.Request())
    assert node.get_parameter("measure_distance") == 0.6
    assert node.stop() == 0
    ros_domain.node.destroy_client(client)
