"""The package's descriptions agree with each other, and what the build makes of them is what others expect."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from support.imports import imports_of
from support.paths import ROOT

import lgnet_core

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()
CMAKE = (ROOT / "CMakeLists.txt").read_text()
PROGRAMS = {
    "hands_node",
    "bring_up",
    "demo_camera",
    "demo_listener",
    "hands_cloud_filter",
    "hands_handover",
    "hands_view",
    "lgnet",
}

TF_MESSAGE = "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087"
"""Type hash of the official tf2_msgs/msg/TFMessage, by which DDS tells whether two types are the same."""


def pins(name: str) -> dict[str, str]:
    """Version of each package in a file of constraints."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / name).read_text(), re.MULTILINE))


def depends(*tags: str) -> set[str]:
    return {element.text or "" for tag in tags for element in PACKAGE.iter(tag)}


@pytest.fixture
def wheels(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tools/ros/wheels.py."""
    monkeypatch.syspath_prepend(ROOT / "tools" / "ros")
    return importlib.import_module("wheels")


def test_one_version() -> None:
    assert PACKAGE.findtext("version") == lgnet_core.__version__
    assert f"## [{lgnet_core.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_one_name_and_licence() -> None:
    assert re.search(r"^project\((\w+)\)$", CMAKE, re.MULTILINE)[1] == PACKAGE.findtext("name") == PROJECT["name"]
    assert PACKAGE.findtext("license") == PROJECT["license"]


def test_one_address_of_the_repository() -> None:
    """REPOSITORY_URL in all pages and none in the package files until there is one; then the same everywhere."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "install.md"]
    (address,) = {url for page in pages for url in re.findall(r"git clone (?:--depth 1 )?(\S+)", page.read_text())}
    named = {element.text for element in PACKAGE.iter("url")} | set(PROJECT.get("urls", {}).values())
    assert named == (set() if address == "REPOSITORY_URL" else {address})


def test_catkin_pkg_accepts_the_package_files() -> None:
    """What ament and colcon parse them with; it refuses placeholder e-mails and wrong tags."""
    package = pytest.importorskip("catkin_pkg.package")
    for path in (ROOT, *(ROOT / "tools" / "ros" / "packages").iterdir()):
        warnings: list[str] = []
        parsed = package.parse_package(path, warnings=warnings)
        parsed.validate(warnings=warnings)
        assert not warnings, path
        assert parsed.get_build_type() == "ament_cmake"
        assert "rosidl_interface_packages" in {group.name for group in parsed.member_of_groups}


def test_every_dependency_that_rosdep_knows_is_named() -> None:
    needed = (
        "rclpy ament_index_python std_msgs geometry_msgs sensor_msgs shape_msgs visualization_msgs diagnostic_msgs "
        "lifecycle_msgs"
    )
    preferred = "rcl_interfaces cv_bridge sensor_msgs_py tf2_ros tf2_ros_py tf2_msgs"
    others = "launch launch_ros rosidl_default_runtime python3-numpy python3-opencv python3-yaml"
    assert depends("depend", "exec_depend") >= set(f"{needed} {preferred} {others}".split())
    assert depends("buildtool_depend", "build_depend") >= {"ament_cmake", "rosidl_default_generators"}
    assert not {name for name in depends("depend", "exec_depend") if "torch" in name}, "pip's; see README"


def test_ros_modules_that_are_imported_are_named() -> None:
    """Whatever a module of lgnet_ros imports comes with ROS 2 under that name, from package.xml or from PyPI."""
    known = {"lgnet_core", "lgnet_ros", "numpy", "cv2", "yaml", "rich", "typer"} | set(sys.stdlib_module_names)
    for path in [*(ROOT / "lgnet_ros").rglob("*.py"), *(ROOT / "launch").glob("*.py")]:
        unknown = {name.split(".")[0] for name in imports_of(path)} - known - depends("depend", "exec_depend")
        assert not unknown, f"{path.name} imports {unknown}: name it in package.xml"


def test_every_test_dependency_is_named() -> None:
    """In package.xml if rosdep knows it; CMake looks for the others, and reports why it runs no tests.

    packaging comes with pytest.
    """
    looked_for = set(re.split(r",[\s\\]*", re.search(r'-c "import ([^"]+)"', CMAKE)[1]))
    keys = depends("depend", "exec_depend", "test_depend")
    named = {key.removeprefix("python3-").replace("-", "_") for key in keys} | {"cv2", "lgnet_core", "lgnet_ros"}
    assert {"pytest", "pytest_timeout", "hypothesis", "scipy"} <= named
    for path in (ROOT / "test").rglob("*.py"):
        others = (
            {name.split(".")[0] for name in imports_of(path)}
            - {"support", "tomllib", "packaging"}
            - set(sys.stdlib_module_names)
        )
        assert others <= looked_for | named, path


def test_metadata_for_a_release() -> None:
    """What bloom and the ROS index require; robots without a screen do not install RViz."""
    assert {tag for tag in ("author", "maintainer", "license") if PACKAGE.find(tag) is None} == set()
    assert "rviz2" not in depends("depend", "exec_depend")
    title, heading = re.findall(r"^(\S.*)\n[\^-]+$", (ROOT / "CHANGELOG.rst").read_text(), re.MULTILINE)
    assert title == "Changelog for package lgnet_ros"
    assert heading == "Forthcoming" or heading.startswith(lgnet_core.__version__)


def test_programs_run_with_an_interpreter_in_any_path(wheels: ModuleType, tmp_path: Path) -> None:
    interfaces = importlib.import_module("interfaces")
    python = tmp_path / "a folder, ümlaut" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    program = tmp_path / "program"
    program.write_text(
        interfaces.with_interpreter("#!/usr/bin/env python3\nimport sys\nprint(*sys.argv[1:])\n", python)
    )
    program.chmod(0o755)
    assert subprocess.run([program, "a b", "c"], capture_output=True, text=True, check=True).stdout == "a b c\n"


def test_every_message_is_built() -> None:
    listed = set(re.findall(r'"msg/(\w+)\.msg"', CMAKE))
    assert listed == {path.stem for path in (ROOT / "msg").glob("*.msg")}


def test_programs_and_commands_exist() -> None:
    programs = dict(re.findall(r"(\w+)=([\w.]+)", re.search(r"foreach\(program ([^)]*)\)", CMAKE)[1]))
    assert set(programs) == PROGRAMS
    targets = {f"{module}:main" for module in programs.values()} | set(PROJECT["scripts"].values())
    assert set(PROJECT["scripts"]) == {"lgnet", "lgnet-hands"}
    for target in targets:
        module, function = target.split(":")
        source = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text()
        assert re.search(rf"^(def {function}\b|{function} = )", source, re.MULTILINE), target


def test_wheels_are_pinned_for_every_distribution(wheels: ModuleType) -> None:
    for distribution in wheels.BUILD_OF:
        names = (*wheels.RUN, *wheels.BUILD, *wheels.BUILD_OF[distribution])
        assert all("==" in requirement for requirement in wheels.pinned(names, distribution))


def test_a_sourced_ros_is_used_instead_of_wheels(
    wheels: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "share" / "rclpy").mkdir(parents=True)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{sys.prefix}:{tmp_path}")
    assert wheels.sourced_ros() == [tmp_path]
    assert wheels.run_requirements() == []
    monkeypatch.setenv("AMENT_PREFIX_PATH", sys.prefix)  # what the wheels' own users set
    assert wheels.sourced_ros() == []
    assert any(requirement.startswith("ros-rclpy==") for requirement in wheels.run_requirements())


def test_the_sets_of_wheels_and_of_the_rest_agree() -> None:
    """Both constrain the same installation."""
    wheels = pins("tools/ros/kilted.txt")
    for package, version in pins("constraints.txt").items():
        assert wheels.get(package, version) == version, package


def test_every_requirement_is_pinned() -> None:
    """The extra "assets" is for rebuilding bundled files; no tested environment has it."""
    extras = {name: names for name, names in PROJECT["optional-dependencies"].items() if name != "assets"}
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    required = [line for line in lines if line and line[0] != "#"] + [
        line for names in extras.values() for line in names
    ]
    names = {canonicalize_name(Requirement(line).name) for line in required} - {canonicalize_name(PROJECT["name"])}
    assert names <= {canonicalize_name(name) for name in pins("constraints.txt")}


def test_pins_of_the_tested_set_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make pins` writes normalized names, which the recipe below looks for."""
    monkeypatch.syspath_prepend(ROOT / "tools" / "ros")
    refresh_pins = importlib.import_module("refresh_pins")
    text = (ROOT / "constraints.txt").read_text()
    assert text.startswith(refresh_pins.HEADER)
    assert refresh_pins.pins(text) == pins("constraints.txt")
    required = {canonicalize_name(Requirement(line).name) for line in refresh_pins.requirements()}
    assert {"numpy", "torch", "viser", "pytest", "smplx"} <= required <= set(pins("constraints.txt"))
    assert not any(refresh_pins.OF_CUDA.match(name) for name in pins("constraints.txt"))
    build_for_cpu = re.search(r"^pip install torch==(\S+) ", (ROOT / "docs" / "install.md").read_text(), re.MULTILINE)
    assert build_for_cpu[1] == pins("constraints.txt")["torch"]


def test_numpy_1_excludes_only_the_pins_that_the_recipe_leaves_out() -> None:
    """The recipe is for cv_bridge of Humble and Jazzy."""
    pages = [(ROOT / name).read_text() for name in ("README.md", "docs/install.md")]
    ((names, limit),) = {
        (names, limit)
        for page in pages
        for names, limit in re.findall(r"grep -vE '\^\(([^)]+)\)==' .*\n.*'opencv-python-headless(<\S+)'", page)
    }
    left_out = set(names.split("|"))
    assert left_out <= set(pins("constraints.txt"))
    assert not SpecifierSet(limit).contains(pins("constraints.txt")["opencv-python-headless"])
    needs_numpy_2, seen, waiting = (
        {"numpy"},
        set(),
        {"onnx", "onnxruntime", "onnxscript", "opencv-python-headless", "torch", "roma", "safetensors"},
    )
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for requirement in map(Requirement, importlib.metadata.requires(name) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                if requirement.name == "numpy" and not requirement.specifier.contains("1.26.4"):
                    needs_numpy_2.add(canonicalize_name(name))
                waiting |= {requirement.name} - seen
    assert needs_numpy_2 == left_out


def test_an_extra_is_added_to_what_is_installed() -> None:
    """Named by its folder the package would be installed again, in place of the editable installation of make."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    commands = [command for page in pages for command in re.findall(r"pip install .*\[.*", page.read_text())]
    named = {name for command in commands for name in re.findall(r"'([^']*)\[(\w+)\]'", command)}
    assert {package for package, _ in named} == {PROJECT["name"]}
    assert (
        {"torch", "train", "live", "foxglove"} <= {extra for _, extra in named} <= set(PROJECT["optional-dependencies"])
    )


@pytest.mark.parametrize("folder", ["checkout", "elsewhere"])
def test_both_halves_import(folder: str, tmp_path: Path) -> None:
    """Messages (generated, installed) and modules (written, in a checkout or installed) are one package everywhere."""
    pytest.importorskip("rclpy")
    script = "import lgnet_ros.msg, lgnet_ros.qos, tf2_msgs.msg; print(*lgnet_ros.msg.__dict__)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT if folder == "checkout" else tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in (ROOT / "msg").glob("*.msg")} <= set(done.stdout.split())


def test_messages_are_found_beside_a_sourced_ros(tmp_path: Path) -> None:
    """pip installs their libraries into an environment where the loader, which setup.bash set up, does not search."""
    pytest.importorskip("rclpy")
    installed = Path(importlib.import_module("lgnet_ros.msg").__file__).parents[4]
    ours = {path for name in ("lgnet_ros", "tf2_msgs") for path in installed.glob(f"lib{name}__*.so")}
    if not ours:
        pytest.skip("another layout, by colcon on Debian: its setup.bash names the folder of the libraries")
    for folder in os.environ["LD_LIBRARY_PATH"].split(os.pathsep):
        for library in set(Path(folder).glob("*.so*")) - ours if folder else ():
            if not (tmp_path / library.name).exists():
                (tmp_path / library.name).symlink_to(library)
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"}
    script = (
        "import lgnet_ros, sys; from importlib import import_module; package, name = sys.argv[1:]\n"
        "message = getattr(import_module(package + '.msg'), name)\n"
        "from rclpy.serialization import serialize_message; print(len(serialize_message(message())))"
    )
    for message in (("lgnet_ros", "HandMeshArray"), ("tf2_msgs", "TFMessage")):
        command = [sys.executable, "-c", script, *message]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) > 0


@pytest.mark.slow
def test_pip_builds_a_complete_wheel(tmp_path: Path) -> None:
    """The wheel holds both packages, messages with their libraries, programs, launch files and configuration."""
    pytest.importorskip("rclpy")
    left_out = shutil.ignore_patterns(".*", "build", "runs", "out", "*.egg-info", "__pycache__")
    checkout = shutil.copytree(ROOT, tmp_path / "checkout", ignore=left_out)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    done = subprocess.run([*command, str(checkout)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith("dist-info/METADATA"))).decode()
    setup = ast.parse((ROOT / "setup.py").read_text())
    (evaluation_data,) = (
        set(ast.literal_eval(statement.value))
        for statement in setup.body
        if isinstance(statement, ast.Assign) and statement.targets[0].id == "EVALUATION_DATA"
    )
    tracked = {
        str(path.relative_to(checkout))
        for folder in ("lgnet_core", "lgnet_ros")
        for path in (checkout / folder).rglob("*")
        if path.is_file()
    }
    assert evaluation_data <= tracked
    assert tracked - evaluation_data <= names
    assert not evaluation_data & names, "the default wheel leaves out what serves evaluation and training only"
    assert wheel.stat().st_size < 25e6
    prefix = f"lgnet_ros-{lgnet_core.__version__}.data/data"
    programs = {f"{prefix}/lib/lgnet_ros/{name}" for name in PROGRAMS}
    shared = {path.relative_to(checkout) for folder in ("launch", "config") for path in (checkout / folder).iterdir()}
    shared |= {Path("LICENSE"), Path("NOTICE")}
    assert names >= programs | {f"{prefix}/share/lgnet_ros/{path}" for path in shared}
    assert names >= {"lgnet_ros/msg/_hand_mesh.py", f"{prefix}/lib/liblgnet_ros__rosidl_typesupport_c.so"}
    assert not {name for name in names if "__pycache__" in name or name.endswith((".c", "local_setup.sh"))}
    assert "Requires-Dist: torch" in metadata


def test_tf_message_is_the_official_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """tf2_ros of an apt ROS on the same network takes our transforms only if the types have the same hash."""
    rclpy = pytest.importorskip("rclpy")
    from support.ros_domain_id import reserved_domain_id
    from tf2_msgs.msg import TFMessage

    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    with reserved_domain_id() as domain_id:
        rclpy.init(context=context, domain_id=domain_id)
        try:
            node = rclpy.create_node("type_hash", context=context)
            node.create_publisher(TFMessage, "type_hash", 1)
            (endpoint,) = node.get_publishers_info_by_topic("type_hash")
            if not hasattr(endpoint, "topic_type_hash"):
                pytest.skip("types have no hash in ROS 2 Humble")
            assert str(endpoint.topic_type_hash) == TF_MESSAGE
        finally:
            context.try_shutdown()
