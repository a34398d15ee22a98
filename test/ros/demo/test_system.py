"""`make demo`: three processes, one command, a summary and two images at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from std_msgs.msg import Header
from support.fixed_hands import two_hands
from support.ros_world import wait_for

from lgnet_core.geometry.hand_frame import HandFrames
from lgnet_ros.demo.listener import Arrivals, to_two_hands
from lgnet_ros.demo.system import run_demo
from lgnet_ros.output.messages import to_joints_array, to_mesh_array


def test_demo_ends_by_itself_with_a_summary(tmp_path):
    """As a user runs it: exit code 0, /hands/mesh with its rate, an overlay and a view in space."""
    code = (
        "import sys; from pathlib import Path; from lgnet_ros.demo.system import run_demo\n"
        f"sys.exit(run_demo(Path({str(tmp_path)!r}), seconds=2.0))"
    )
    environment = os.environ | {"COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/hands/mesh arrives at" in done.stdout
    assert "Hz" in done.stdout
    assert "right and left hand seen" in " ".join(done.stdout.split()), "the images show as many hands as were seen"
    assert "Traceback" not in done.stderr
    for name in ("overlay.png", "view_3d.png"):
        image = cv2.imread(str(tmp_path / name))
        assert image.shape[0] == 480
        assert image.std() > 5, f"{name} is blank"


def test_terminated_it_takes_its_processes_along_and_the_camera_is_where_the_node_looks(tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-m", "lgnet_ros.cli", "--demo", str(tmp_path), "--namespace", "arm"]
    command += ["--image", "wrist/image"]
    with log.open("w") as output:
        demo = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children")
    processes: list[str] = []
    try:
        wait_for(lambda: "on /arm/wrist/image" in log.read_text(), "the demo camera")
        processes = children.read_text().split()
        demo.terminate()
        assert demo.wait(60) == 1
        assert len(processes) == 3
        assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]
    finally:
        demo.kill()
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def test_a_file_is_no_folder_for_images(tmp_path, capsys):
    file = tmp_path / "text.jpg"
    file.touch()
    assert run_demo(file) == 1
    assert f"{file} is no folder" in capsys.readouterr().err


def test_messages_hold_what_a_listener_draws(hand_model):
    """From hands to messages and back: sides, places and triangles are the same."""
    hands, header = two_hands(hand_model, track_id=7), Header(frame_id="camera")
    poses = HandFrames(hand_model).poses(hands.hands)
    back = to_two_hands(to_joints_array(hands, header, poses), to_mesh_array(hands, header, poses))
    assert back.metric
    for mine, theirs in zip(hands.hands, back.hands, strict=True):
        assert (mine.side, mine.track_id) == (theirs.side, theirs.track_id)
        np.testing.assert_array_equal(mine.joints, theirs.joints)
        np.testing.assert_array_equal(mine.faces, theirs.faces)
        np.testing.assert_allclose(mine.vertices, theirs.vertices, atol=1e-6)
        np.testing.assert_allclose(mine.joints_2d, theirs.joints_2d, atol=1e-3)


def test_rates_and_ages():
    arrivals = Arrivals("/hands/mesh")
    assert arrivals.rate == 0
    assert np.isnan(arrivals.age(50))
    for k in range(5):
        arrivals.add(0.1 * k)
        arrivals.times[-1] = 2.0 * k
    assert arrivals.rate == 0.5
    np.testing.assert_allclose(arrivals.age(50), 0.2)
