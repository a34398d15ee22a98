"""Containers, development container and workflow refer to what exists: without Docker, nothing else would notice."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from support.paths import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DOCKERFILES = [ROOT / "docker" / "Dockerfile", ROOT / "docker" / "Dockerfile.slim"]
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yaml").read_text())
PROGRAMS = set(re.findall(r"(\w+)=lgnet_\w+\.", (ROOT / "CMakeLists.txt").read_text()))
LAUNCH_ARGUMENTS = re.findall(r'^    \("(\w+)", ', (ROOT / "launch" / "hands.launch.py").read_text(), re.MULTILINE)
MAKE_TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def instructions(dockerfile: Path, name: str) -> list[str]:
    """Arguments of all instructions of a name, with continued lines joined."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE))
    return re.findall(rf"^{name} (.+)$", text, re.MULTILINE)


def stages(dockerfile: Path) -> set[str]:
    return {line.split(" AS ")[1] for line in instructions(dockerfile, "FROM") if " AS " in line}


def runs(job: str) -> list[str]:
    return [step["run"] for step in WORKFLOW["jobs"][job]["steps"] if "run" in step]


def ros_commands(text: str) -> tuple[set[str], set[str]]:
    """Programs and launch arguments that a text gives to ``ros2 run`` and ``ros2 launch`` of this package."""
    programs = set(re.findall(r"ros2 run lgnet_ros (\w+)", text))
    launches = re.findall(r"ros2 launch lgnet_ros hands\.launch\.py((?: [\w]+:=\S+)*)", text)
    return programs, {argument for launch in launches for argument in re.findall(r"(\w+):=", launch)}


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_copied_files_exist_and_are_not_ignored(dockerfile: Path) -> None:
    ignored = set((ROOT / ".dockerignore").read_text().split())
    sources = [
        source
        for line in instructions(dockerfile, "COPY")
        if "--from=" not in line
        for source in shlex.split(line)[:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not ignored & {Path(source).name, *map(str, Path(source).parents)} - {"."}, source


def test_what_the_package_is_built_from_is_not_ignored() -> None:
    ignored = set((ROOT / ".dockerignore").read_text().split())
    installed = re.findall(
        r"^install\((?:FILES|DIRECTORY) ([^)]*?) DESTINATION", (ROOT / "CMakeLists.txt").read_text(), re.M
    )
    needed = {name for line in installed for name in line.split()} | {
        "msg",
        "resource",
        "tools",
        "lgnet_core",
        "setup.py",
    }
    assert {"launch", "config", "LICENSE"} <= needed
    assert not ignored & needed


def test_stages_and_base_images_exist() -> None:
    for dockerfile in DOCKERFILES:
        for line in instructions(dockerfile, "FROM"):
            assert line.split()[0] in stages(dockerfile) or re.match(r"(ros|python):\$\{\w+\}-\S+", line), line
        for line in instructions(dockerfile, "COPY"):
            assert set(re.findall(r"--from=(\w+)", line)) <= stages(dockerfile)
        assert set(instructions(dockerfile, "USER")) == {"1000:1000"}


def test_packages_of_the_images() -> None:
    """The image with ROS from apt has what docs/install.md installs, and the viewer; the slim one has its extra."""
    node, slim = (" ".join(instructions(dockerfile, "RUN")) for dockerfile in DOCKERFILES)
    live = {Requirement(line).name for line in EXTRAS["live"]}
    command = re.search(r"pip install (.*requirements\.txt)", node)[1]
    added = {Requirement(word).name for word in shlex.split(command) if re.match(r"[a-z]", word)}
    assert live <= added
    page = (ROOT / "docs" / "install.md").read_text()
    recipe = re.search(r"(grep -vE '\S+').*\n(?:.*constraints\.txt )('numpy\S+' '\S+')", page)
    assert recipe[1] in node
    assert recipe[2] in node
    assert set(re.findall(r"\.\[(\w+)\]", slim)) <= set(EXTRAS)


def test_compose_file_starts_what_exists() -> None:
    services = COMPOSE["services"]
    assert {"hands", "view", "demo", "camera"} == set(services)
    for name, service in services.items():
        build = service["build"]
        dockerfile = ROOT / "docker" / build["context"] / build["dockerfile"]
        assert build["target"] in stages(dockerfile.resolve()), name
        assert set(build["args"]) <= {line.split("=")[0] for line in instructions(dockerfile.resolve(), "ARG")}
        programs, arguments = ros_commands(service["command"])
        assert programs <= PROGRAMS, name
        assert arguments <= set(LAUNCH_ARGUMENTS), name
        assert service["network_mode"] == service["ipc"] == "host", "shared memory needs both"
        assert service["environment"]["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


def test_compose_services_share_the_cameras_topics() -> None:
    """The launch file takes camera_info from beside the image."""
    commands = {name: service["command"] for name, service in COMPOSE["services"].items()}
    assert "__ns:=/camera" in commands["camera"]  # v4l2_camera publishes image_raw and camera_info
    for name in ("hands", "view", "demo"):
        assert "image:=/camera/image_raw" in commands[name]
    for name in ("view", "demo"):
        assert "camera_info:=/camera/camera_info" in commands[name]


def test_supported_pythons_agree() -> None:
    prefix = "Programming Language :: Python :: 3."
    supported = [line.removeprefix(prefix) for line in PROJECT["classifiers"] if line.startswith(prefix)]
    versions = [f"3.{minor}" for minor in supported]
    assert WORKFLOW["jobs"]["make"]["strategy"]["matrix"]["python"] == versions
    specifier = SpecifierSet(PROJECT["requires-python"])
    assert [specifier.contains(f"3.{minor}") for minor in (int(supported[0]) - 1, int(supported[0]))] == [False, True]
    for page in ("README.md", "CONTRIBUTING.md", "docs/install.md"):
        assert f"Python {versions[0]} to {versions[-1]}" in (ROOT / page).read_text(), page
    (slim,) = re.findall(r"^ARG PYTHON=(.+)$", DOCKERFILES[1].read_text(), re.MULTILINE)
    assert slim in versions


def test_workflow_runs_what_exists() -> None:
    commands = [command for job in WORKFLOW["jobs"] for command in runs(job)]
    assert set(re.findall(r"\bmake ([\w-]+)", " ".join(commands))) == {"test"} <= MAKE_TARGETS
    assert {"humble", "jazzy", "kilted"} == set(WORKFLOW["jobs"]["colcon"]["strategy"]["matrix"]["ros"])
    for command in commands:
        for path in re.findall(r"\bdocker/[\w.]+", command):
            assert (ROOT / path).is_file(), path
        programs, arguments = ros_commands(command)
        assert programs <= PROGRAMS
        assert arguments <= set(LAUNCH_ARGUMENTS)
        for program in re.findall(r"lgnet_ros:slim ([\w-]+)", command):
            assert program in PROJECT["scripts"]


def test_development_container_runs_what_exists() -> None:
    container: dict[str, Any] = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    make, target = container["postCreateCommand"].split()
    assert make == "make"
    assert target in MAKE_TARGETS
    python = re.search(r"python:([\d.]+)-", container["image"])[1]
    assert python in WORKFLOW["jobs"]["make"]["strategy"]["matrix"]["python"]


@pytest.mark.parametrize("page", ["containers.md", "cameras.md"])
def test_pages_name_what_exists(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    programs, arguments = ros_commands(text)
    assert programs <= PROGRAMS
    assert arguments <= set(LAUNCH_ARGUMENTS)
    assert set(re.findall(r"--profile (\w+)", text)) <= {
        profile for service in COMPOSE["services"].values() for profile in service.get("profiles", [])
    }
