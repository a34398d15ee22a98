"""Nothing leaves the machine: programs look up no foreign name, send nothing, and leave no identifier in the home."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import cv2
import pytest
from support.network import ObservedPrograms, build_library
from support.paths import ROOT
from support.real_images import half_size_frames
from support.tiny_training import tiny_config
from support.train_process import TINY

from lgnet_core.network import PRESETS

OPEN_PAGE = """
from pathlib import Path
from support.viser_client import ViserClient
from viser import _messages
from lgnet_core.live.page import HandsPage
from lgnet_core.live.server import LocalServer
server = LocalServer(port=0)
page = HandsPage(server, "camera", Path("out"), 30.0, print, print)
with ViserClient(server.get_port()) as tab:
    tab.send(_messages.ShareUrlRequest())  # a tunnel, which viser itself would open
    tab.set("smooth", False)
    while page.settings.smoothing:
        pass
server._thread_executor.shutdown(wait=True)
page.stop()
"""

ASK_NETWORK = """
import socket
for resolve in (socket.gethostbyname, lambda name: socket.getaddrinfo(name, 443)):
    try:
        resolve("telemetry.invalid")
    except OSError:
        pass
socket.socket(type=socket.SOCK_DGRAM).connect(("192.0.2.1", 443))  # sends nothing yet
socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9))
socket.getaddrinfo("localhost", 80)
"""


@pytest.fixture(scope="module")
def network_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library(tmp_path_factory.mktemp("network"))


@pytest.fixture
def observed(tmp_path: Path, network_library: Path) -> ObservedPrograms:
    return ObservedPrograms(tmp_path, network_library)


def run(observed: ObservedPrograms, *command: str) -> None:
    """Run Python with a command line."""
    subprocess.run([sys.executable, *command], env=observed.environment, cwd=ROOT, check=True)


def test_foreign_names_and_addresses_are_noticed(observed: ObservedPrograms) -> None:
    """The other tests could not fail without this."""
    run(observed, "-c", ASK_NETWORK)
    (observed.home / ".cache" / "Vendor").mkdir(parents=True)
    (observed.home / ".cache" / "Vendor" / "deviceid").touch()
    assert observed.network_use() == {"lookup telemetry.invalid", "send 192.0.2.1"}
    assert observed.foreign_files() == [".cache/Vendor/deviceid"]


def test_prediction_reports_nothing(observed: ObservedPrograms, tmp_path: Path) -> None:
    """Nor do its recordings.

    With ONNX Runtime, whose import creates a device id and which reports some seconds later, unless told not to.
    """
    cv2.imwrite(str(tmp_path / "image.png"), half_size_frames()[0])
    # The first report comes 9 s after the import; on a slow machine the prediction alone lasts longer.
    predict = "import time; from lgnet_core.cli.app import app; app(standalone_mode=False); time.sleep(12)"
    recordings = ("--record", "mcap", "--record", "rrd")
    run(observed, "-c", predict, "predict", str(tmp_path / "image.png"), "-o", str(tmp_path / "out"), *recordings)
    assert {path.suffix for path in (tmp_path / "out").iterdir()} >= {".json", ".mcap", ".rrd"}
    assert not observed.network_use()
    assert not observed.foreign_files()


def test_page_reports_nothing(observed: ObservedPrograms) -> None:
    run(observed, "-c", OPEN_PAGE)
    assert not observed.network_use()
    assert not observed.foreign_files()


def test_training_reports_nothing(observed: ObservedPrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    settings = json.dumps(asdict(tiny_config(tmp_path / "out")), default=str)
    run(observed, str(ROOT / "test" / "support" / "train_process.py"), settings)
    assert any((tmp_path / "out").iterdir())
    assert not observed.network_use()
    assert not observed.foreign_files()


def test_node_reports_nothing(observed: ObservedPrograms, ros_domain, tmp_path: Path) -> None:
    """The node on the bundled clip, with discovery limited to this machine as in all tests."""
    from lgnet_ros.msg import HandMeshArray
    from support.ros_domain import wait_for

    meshes = ros_domain.subscribe(HandMeshArray, "hands/mesh")
    ros_domain.start("-m", "lgnet_ros.demo.camera")
    node = ros_domain.start("-m", "lgnet_ros.cli", log=tmp_path / "log", environment=observed.environment)
    wait_for(lambda: len(meshes) > 20, "meshes", timeout=240)
    assert "onnx on cpu" in (tmp_path / "log").read_text()
    assert node.poll() is None
    assert not observed.network_use()
    assert not observed.foreign_files()
