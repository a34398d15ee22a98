"""Tests of the package resources and the Fast DDS profile."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree

import pytest

from lgnet_ros.process import resources


@pytest.fixture(autouse=True)
def no_user_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*resources.PROFILE_VARIABLES, resources.TRANSPORTS_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_shared_memory_segment_holds_several_images():
    """32 MB: five full HD images; the default of 0.5 MB is smaller than one VGA image."""
    (name, path), *others = resources.fast_dds_environment().items()
    assert name in resources.PROFILE_VARIABLES
    assert not others, "setting both variables loads the file twice, which is an error"
    root = ElementTree.parse(path).getroot()
    namespace = {"": "http://www.eprosima.com"}
    sizes = [int(size.text) for size in root.findall(".//segment_size", namespace)]
    assert sizes == [32 << 20]
    assert root.find(".//participant", namespace).get("is_default_profile") == "true"
    defined = {node.text for node in root.findall(".//transport_descriptor/transport_id", namespace)}
    assert {node.text for node in root.findall(".//userTransports/transport_id", namespace)} == defined


@pytest.mark.parametrize("name", [*resources.PROFILE_VARIABLES, resources.TRANSPORTS_VARIABLE])
def test_users_configuration_takes_precedence(monkeypatch, name):
    """A profile would silently override the user's profile or transports."""
    monkeypatch.setenv(name, "mine.xml" if "FILE" in name else "UDPv4")
    assert resources.fast_dds_environment() == {}


def test_variable_matches_the_installed_fast_dds_version(monkeypatch, tmp_path):
    """Fast DDS 3 is the package fastdds, Fast DDS 2 is fastrtps."""
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(resources.ament_index_python, "__file__", None)
    assert list(resources.fast_dds_environment()) == ["FASTRTPS_DEFAULT_PROFILES_FILE"]
    (tmp_path / "share" / "fastdds").mkdir(parents=True)
    assert list(resources.fast_dds_environment()) == ["FASTDDS_DEFAULT_PROFILES_FILE"]


def test_checkout_is_used_without_installation(monkeypatch, tmp_path):
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert resources.resource_file("launch", "hands.launch.py").is_file()
