"""Files beside the code, and the profile that Fast DDS is given unless the user has one."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree

import pytest

from lgnet_ros import resources as share


@pytest.fixture(autouse=True)
def no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*share.PROFILE_VARIABLES, share.TRANSPORTS_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_the_profile_holds_several_images():
    """32 MB of shared memory: five images of full HD, where Fast DDS's own 0.5 MB hold none of VGA."""
    (name, path), *others = share.fast_dds_profile().items()
    assert name in share.PROFILE_VARIABLES
    assert not others, "both variables at once load the file twice, which is an error"
    root = ElementTree.parse(path).getroot()
    space = {"": "http://www.eprosima.com"}
    sizes = [int(size.text) for size in root.findall(".//segment_size", space)]
    assert sizes == [32 << 20]
    assert root.find(".//participant", space).get("is_default_profile") == "true"
    defined = {node.text for node in root.findall(".//transport_descriptor/transport_id", space)}
    assert {node.text for node in root.findall(".//userTransports/transport_id", space)} == defined


@pytest.mark.parametrize("name", [*share.PROFILE_VARIABLES, share.TRANSPORTS_VARIABLE])
def test_a_users_profile_is_left_alone(monkeypatch, name):
    """Or the user's transports, which a profile would take back without a word."""
    monkeypatch.setenv(name, "mine.xml" if "FILE" in name else "UDPv4")
    assert share.fast_dds_profile() == {}


def test_the_variable_is_the_installed_fast_ddss(monkeypatch, tmp_path):
    """Fast DDS 3 comes as the package fastdds, Fast DDS 2 as fastrtps."""
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert list(share.fast_dds_profile()) == ["FASTRTPS_DEFAULT_PROFILES_FILE"]
    (tmp_path / "share" / "fastdds").mkdir(parents=True)
    assert list(share.fast_dds_profile()) == ["FASTDDS_DEFAULT_PROFILES_FILE"]


def test_without_an_installation_the_checkout_serves(monkeypatch, tmp_path):
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert share.resource_file("launch", "hands.launch.py").is_file()
