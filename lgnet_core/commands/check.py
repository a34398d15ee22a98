"""Diagnosis of an installation for ``lgnet check``; each problem comes with its remedy.

:func:`check_files` reads versions and files only, so that it takes less than a second: it imports neither torch nor
OpenCV. :func:`check_runtime` imports every library and runs the networks. Libraries are imported inside the checks, so
that a missing one becomes a finding instead of an exception.
"""

from __future__ import annotations

import errno
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from lgnet_core import __version__
from lgnet_core.io.output import explain

MIN_PYTHON = (3, 10)
TORCH_RANGE = ((2, 6), (3, 0))

REQUIRED = (
    ("numpy", "numpy"),
    ("array_api_compat", "array-api-compat"),
    ("cv2", "opencv-python-headless"),
    ("onnxruntime", "onnxruntime"),
    ("safetensors", "safetensors"),
    ("yaml", "pyyaml"),
)
"""Required modules and the packages that provide them."""

OPTIONAL = (
    ("roma", "'lgnet_ros[torch]'", "training and evaluation"),
    ("onnx", "'lgnet_ros[torch]'", "`lgnet export`, and weights of another architecture than the bundled ones"),
    ("pytorch_lightning", "'lgnet_ros[train]'", "`lgnet train`"),
    ("viser", "'lgnet_ros[live]'", "`lgnet live`, and `lgnet-hands --view`"),
    ("smplx", "'lgnet_ros[mano]'", "HandModel.from_smplx (non-commercial licence)"),
)
"""Optional modules, what to install, and what they are used for."""


ALTERNATIVE_DISTRIBUTIONS = {
    "cv2": ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "onnxruntime": ("onnxruntime-gpu",),
}
"""Other distributions that provide a module; apt's python3-opencv has no metadata."""


EXPORTS_BYTES = 64 << 20
"""Room for the exports of the bundled networks."""

TEMPORARY_BYTES = 1 << 20
"""Room for temporary files; nothing large is among them."""


class Level(Enum):
    """Severity of a finding."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the report: subject, severity, details and, if something is wrong, the remedy."""

    subject: str
    level: Level
    detail: str
    remedy: str = ""


def check_files(weights: str | Path | None = None, hand_model: str | Path | None = None) -> list[Finding]:
    """Check versions and files without importing heavy libraries.

    Args:
        weights, hand_model: as in :meth:`lgnet_core.inference.HandEstimator.load`.
    """
    findings = [check_python(), check_torch_version()]
    findings += [check_installed(module, package) for module, package in REQUIRED]
    findings += [check_optional(*row) for row in OPTIONAL]
    steps: Sequence[tuple[str, Callable[[], Finding]]] = (
        ("hand model", lambda: check_hand_model_files(hand_model)),
        ("weights", lambda: check_weights(weights)),
        ("palm detector", check_palm_detector_file),
        ("cache", check_cache),
        ("temporary files", check_temporary_files),
    )
    return findings + [_guarded(subject, step) for subject, step in steps]


def check_runtime(
    weights: str | Path | None = None, hand_model: str | Path | None = None, device: str = "auto"
) -> list[Finding]:
    """Import every required library and estimate the hands of one image, on top of :func:`check_files`.

    Args:
        weights, hand_model, device: as in :meth:`lgnet_core.inference.HandEstimator.load`.
    """
    findings = [check_import(module, package) for module, package in REQUIRED]
    findings = [finding for finding in findings if finding.level is Level.PROBLEM]
    steps: Sequence[tuple[str, Callable[[], Finding]]] = (
        ("device", lambda: check_device(device)),
        ("meshes", lambda: check_meshes(weights, hand_model)),
    )
    findings += [_guarded(subject, step) for subject, step in steps]
    if all(finding.level is not Level.PROBLEM for finding in findings):
        findings.append(_guarded("estimate", lambda: check_estimate(weights, hand_model, device)))
    return findings


def _guarded(subject: str, step: Callable[[], Finding]) -> Finding:
    """The finding of a step; an exception becomes one (our messages carry the remedy after a semicolon)."""
    try:
        return step()
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        detail, _, remedy = explain(error).partition("; ")
        return Finding(subject, Level.PROBLEM, detail, remedy or "see the message")
    except Exception as error:  # a bug of ours must not hide the other findings
        return Finding(subject, Level.PROBLEM, f"{type(error).__name__}: {error}", "report it, with LGNET_DEBUG=1 set")


def check_python() -> Finding:
    """The interpreter's version."""
    version = platform.python_version()
    detail = f"{version} on {platform.system()} {platform.machine()}, lgnet_ros {__version__}"
    if sys.version_info < MIN_PYTHON:
        return Finding("Python", Level.PROBLEM, detail, "install Python 3.10 or newer and make a new environment")
    return Finding("Python", Level.OK, detail)


def check_torch_version() -> Finding:
    """torch, if it is installed, has a supported version."""
    finding = check_optional("torch", "'lgnet_ros[torch]'", "GPUs, training, evaluation and `lgnet export`")
    if finding.level is not Level.OK:
        return finding
    numbers = tuple(int(part) for part in finding.detail.split("+")[0].split(".")[:2])
    if not TORCH_RANGE[0] <= numbers < TORCH_RANGE[1]:
        return Finding("torch", Level.PROBLEM, f"{finding.detail} is not supported", "pip install 'torch>=2.6,<3'")
    return finding


def check_installed(module: str, package: str) -> Finding:
    """A required module can be found; it is not imported."""
    if importlib.util.find_spec(module) is None:
        return Finding(module, Level.PROBLEM, "not installed", f"pip install --upgrade {package}")
    return Finding(module, Level.OK, _installed_version(module, package))


def check_optional(module: str, package: str, purpose: str) -> Finding:
    """A module that only some commands need can be found; it is not imported."""
    if importlib.util.find_spec(module) is None:
        return Finding(module, Level.NOTE, f"not installed; used for {purpose}", f"pip install {package}")
    return Finding(module, Level.OK, _installed_version(module, package))


def _installed_version(module: str, package: str) -> str:
    """Version of the distribution that provides a module."""
    for name in (package, module.replace("_", "-"), *ALTERNATIVE_DISTRIBUTIONS.get(module, ())):
        try:
            return importlib.metadata.version(name)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            continue
    return "installed"


def check_import(module: str, package: str) -> Finding:
    """A required library can be imported."""
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken library may raise anything
        return Finding(module, Level.PROBLEM, f"cannot be imported: {error}", f"pip install --upgrade {package}")
    return Finding(module, Level.OK, "can be imported")


def check_hand_model_files(path: str | Path | None) -> Finding:
    """The files of the hand model are complete and valid."""
    from lgnet_core.hand_model.asset import read_hand_assets

    right = read_hand_assets(path)[0]
    where = "bundled" if path is None else str(path)
    return Finding(
        "hand model", Level.OK, f"{right.name} ({where}), {len(right.v_template)} vertices, {right.digest[:12]}"
    )


def check_weights(path: str | Path | None) -> Finding:
    """The checkpoint can be read; the finding says what it holds."""
    from lgnet_core.io.checkpoint_files import read_metadata, weights_digest

    metadata = read_metadata(path)
    config = metadata.get("config", {})
    preset = metadata.get("preset") or (config.get("name") if isinstance(config, dict) else None) or "unnamed"
    where = "bundled" if path is None else str(path)
    return Finding("weights", Level.OK, f"{preset} ({where}){_training_steps(metadata)}, {weights_digest(path)[:12]}")


def _training_steps(metadata: Mapping[str, Any]) -> str:
    """Steps of the last training phase; a checkpoint's metadata does not know the phases before."""
    parts = metadata.get("mean of", [metadata])
    steps = [str(part["steps"]) for part in parts if part.get("steps") is not None]
    if len(steps) > 1:
        return f", mean of {len(parts)} trainings with {', '.join(steps)} steps in their last phases"
    return f", {steps[0]} steps in the last training phase" if steps else ""


def check_palm_detector_file() -> Finding:
    """The bundled palm detector is complete; the hand-landmark network is part of the weights."""
    from lgnet_core.io.checkpoint_files import WEIGHTS_FOLDER, count_values

    size = count_values(WEIGHTS_FOLDER / "palm_detector.safetensors")
    return Finding("palm detector", Level.OK, f"bundled, {size / 1e6:.1f} M values")


def check_cache() -> Finding:
    """The cache folder for exported networks is writable and has room for them."""
    from lgnet_core.io.cache import CACHE_VARIABLE, cache_directory

    folder: Path | str = "none"
    try:
        folder = cache_directory()
        folder.mkdir(parents=True, exist_ok=True)
        reserve_space(folder, EXPORTS_BYTES)
        if blocked := [path for path in folder.glob("*.onnx") if path.is_dir()]:
            raise IsADirectoryError(errno.EISDIR, "is a folder in the place of a file", str(blocked[0]))
    except OSError as error:
        return Finding(
            "cache",
            Level.NOTE,
            f"{error.filename or folder}: {error.strerror}: networks are exported anew in every process",
            f"make {EXPORTS_BYTES >> 20} MB of room and the folder writable, or set {CACHE_VARIABLE} to another folder",
        )
    return Finding("cache", Level.OK, str(folder))


def check_temporary_files() -> Finding:
    """There is a folder for temporary files, with some room."""
    try:
        folder = tempfile.gettempdir()
        reserve_space(Path(folder), TEMPORARY_BYTES)
    except OSError as error:
        where = os.environ.get("TMPDIR") or error.filename or "/tmp"
        remedy = f"make {TEMPORARY_BYTES >> 20} MB of room, or set TMPDIR to another folder"
        return Finding("temporary files", Level.NOTE, f"{where}: {error.strerror}", remedy)
    return Finding("temporary files", Level.OK, folder)


def reserve_space(folder: Path, size: int) -> None:
    """Write a file of this size (bytes) and delete it: an empty file can be created on a full disk too.

    Raises:
        OSError: if that is not possible.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, size)


def check_device(device: str) -> Finding:
    """The device that the networks will run on."""
    from lgnet_core.engines.base import resolve_device
    from lgnet_core.engines.cpu import available_cores

    chosen = resolve_device(device)
    if not chosen.startswith("cuda"):
        return Finding("device", Level.OK, f"CPU, {available_cores()} of {os.cpu_count()} cores")
    import torch

    name = torch.cuda.get_device_name(chosen)
    free, total = torch.cuda.mem_get_info(chosen)
    torch.zeros(8, device=chosen).sum().item()  # fails here if the driver does not match
    return Finding("device", Level.OK, f"{chosen}: {name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free")


def check_meshes(weights: str | Path | None, path: str | Path | None) -> Finding:
    """Whether meshes come refined from the network, or retargeted to another hand model, and how close that is."""
    from lgnet_core.hand_model import load_hand_model
    from lgnet_core.inference.retarget import Retargeter
    from lgnet_core.network.checkpoint_metadata import resolve_hand_model

    requested = load_hand_model(path)
    own = resolve_hand_model(weights, requested)
    if own.digest == requested.digest:
        return Finding("meshes", Level.OK, "refined by the network")
    distances = 1000 * Retargeter(own, requested).joint_distances()
    detail = (
        f"retargeted from {own.name}, the hand model of the weights: the parametric surface of {requested.name}, not "
        f"the refined mesh; its joints are {distances.mean():.1f} mm from the network's, at most "
        f"{distances.max():.1f} mm (random poses and shapes)"
    )
    return Finding("meshes", Level.NOTE, detail, "for refined meshes, train with this hand model: `lgnet train`")


def check_estimate(weights: str | Path | None, hand_model: str | Path | None, device: str) -> Finding:
    """Estimate the hands of one frame of the bundled clip that shows both."""
    import time

    from lgnet_core.data.clip import read_clip
    from lgnet_core.inference import HandEstimator

    clip = read_clip()
    image = clip.frames[int(clip.presence.all(1).argmax())]
    estimator = HandEstimator.load(weights, device, hand_model)
    estimator.warm_up()
    start = time.perf_counter()
    hands = estimator.estimate(image, clip.camera)
    milliseconds = 1000 * (time.perf_counter() - start)
    engines = "; ".join(f"{name}: {engine}" for name, engine in estimator.engines.items())
    sides = " and ".join(hand.side.label for hand in hands.hands) or "none"
    detail = f"{milliseconds:.0f} ms for a frame of the bundled clip, hands found: {sides} ({engines})"
    return Finding("estimate", Level.OK, detail)
