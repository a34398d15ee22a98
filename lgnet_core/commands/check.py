"""The work of ``lgnet check``: is everything here that finding hands needs? Each problem comes with its cure.

Every import of a library stands inside a check, so that one that is missing is told, not stumbled over.
"""

from __future__ import annotations

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

OLDEST_PYTHON = (3, 10)
TORCH_RANGE = ((2, 6), (3, 0))

NEEDED = (
    ("numpy", "numpy"),
    ("cv2", "opencv-python-headless"),
    ("safetensors", "safetensors"),
    ("roma", "roma"),
    ("yaml", "pyyaml"),
)
"""Modules and the packages they come in."""

OPTIONAL = (
    ("onnxruntime", "onnxruntime", "the fast engine on a CPU (without it eager torch runs, several times slower)"),
    ("onnx", "onnx onnxscript", "`lgnet export`, and the first load of the ONNX engine"),
    ("pytorch_lightning", "'lgnet_ros[train]'", "`lgnet train`"),
    ("smplx", "'lgnet_ros[mano]'", "HandModel.from_smplx (non-commercial licence)"),
)
"""Modules, what to install, and what they are for."""


class Level(Enum):
    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, how it is, what is to be said, and what to do about it."""

    subject: str
    level: Level
    detail: str
    cure: str = ""


def run_checks(
    weights: str | Path | None = None, hand_model: str | Path | None = None, device: str = "auto"
) -> list[Finding]:
    """Everything, from the interpreter to one estimate, in the order in which it is needed.

    Args:
        weights, hand_model, device: as :meth:`lgnet_core.inference.HandEstimator.load` takes them.
    """
    findings = [check_python(), check_torch()]
    findings += [check_package(module, package) for module, package in NEEDED]
    findings += [check_optional(*row) for row in OPTIONAL]
    steps: Sequence[tuple[str, Callable[[], Finding]]] = (
        ("device", lambda: check_device(device)),
        ("hand model", lambda: check_hand_model(hand_model)),
        ("weights", lambda: check_weights(weights)),
        ("meshes", lambda: check_meshes(weights, hand_model)),
        ("hand finders", check_detectors),
        ("cache", check_cache),
    )
    findings += [_guarded(subject, step) for subject, step in steps]
    if all(finding.level is not Level.PROBLEM for finding in findings):
        findings.append(_guarded("one estimate", lambda: check_estimate(weights, hand_model, device)))
    return findings


def _guarded(subject: str, step: Callable[[], Finding]) -> Finding:
    """A step's finding; what it raises is the finding (messages of ours hold the cure already)."""
    try:
        return step()
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        detail, _, cure = str(error).partition("; ")
        return Finding(subject, Level.PROBLEM, detail, cure or "see the message")
    except Exception as error:  # a fault of ours must not hide the other findings
        return Finding(subject, Level.PROBLEM, f"{type(error).__name__}: {error}", "report it, with LGNET_DEBUG=1 set")


def check_python() -> Finding:
    """The interpreter."""
    version = platform.python_version()
    detail = f"{version} on {platform.system()} {platform.machine()}, lgnet_ros {__version__}"
    if sys.version_info < OLDEST_PYTHON:
        return Finding("Python", Level.PROBLEM, detail, "install Python 3.10 or newer and make a new environment")
    return Finding("Python", Level.OK, detail)


def check_torch() -> Finding:
    """torch is there, imports, and has a version that was meant."""
    finding = check_package("torch", "'torch>=2.6,<3'")
    if finding.level is not Level.OK:
        return finding
    version = importlib.import_module("torch").__version__
    numbers = tuple(int(part) for part in version.split("+")[0].split(".")[:2])
    if not TORCH_RANGE[0] <= numbers < TORCH_RANGE[1]:
        return Finding("torch", Level.PROBLEM, f"{version} was not meant", "pip install 'torch>=2.6,<3'")
    return Finding("torch", Level.OK, version)


def check_package(module: str, package: str) -> Finding:
    """A library that is needed can be imported."""
    try:
        found = importlib.import_module(module)
    except Exception as error:  # a broken library may raise anything
        return Finding(module, Level.PROBLEM, f"cannot be imported: {error}", f"pip install --upgrade {package}")
    return Finding(module, Level.OK, str(getattr(found, "__version__", "installed")))


def check_optional(module: str, package: str, purpose: str) -> Finding:
    """A library that only some commands need; it is looked up, not imported."""
    if importlib.util.find_spec(module) is None:
        return Finding(module, Level.NOTE, f"not installed; needed for {purpose}", f"pip install {package}")
    try:
        return Finding(module, Level.OK, importlib.metadata.version(module.replace("_", "-")))
    except importlib.metadata.PackageNotFoundError:
        return Finding(module, Level.OK, "installed")


def check_device(device: str) -> Finding:
    """What the network will run on."""
    import torch

    from lgnet_core.engines.base import resolve_device

    chosen = resolve_device(device)
    if not str(chosen).startswith("cuda"):
        return Finding("device", Level.OK, f"CPU, {torch.get_num_threads()} threads of torch, {os.cpu_count()} cores")
    name = torch.cuda.get_device_name(chosen)
    free, total = torch.cuda.mem_get_info(chosen)
    torch.zeros(8, device=chosen).sum().item()  # a driver that does not fit fails here
    return Finding("device", Level.OK, f"{chosen}: {name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free")


def check_hand_model(path: str | Path | None) -> Finding:
    """The hand model loads and makes finite hands."""
    import torch

    from lgnet_core.hand_model import load_hand_model

    model = load_hand_model(path)
    mesh = model(torch.eye(3).expand(1, 2, 16, 3, 3), torch.zeros(1, 2, 10))
    if not torch.isfinite(mesh.vertices).all():
        return Finding("hand model", Level.PROBLEM, "its vertices are not finite", "convert or install it again")
    where = "bundled" if path is None else str(path)
    return Finding(
        "hand model", Level.OK, f"{model.name} ({where}), {mesh.vertices.shape[2]} vertices, {model.digest[:12]}"
    )


def check_weights(path: str | Path | None) -> Finding:
    """The weights file can be read and says what it is."""
    from lgnet_core.network.checkpoint import read_metadata, weights_digest

    about = read_metadata(path)
    config = about.get("config", {})
    preset = about.get("preset") or (config.get("name") if isinstance(config, dict) else None) or "unnamed"
    where = "bundled" if path is None else str(path)
    return Finding("weights", Level.OK, f"{preset} ({where}){_last_phases(about)}, {weights_digest(path)[:12]}")


def _last_phases(about: Mapping[str, Any]) -> str:
    """Steps as the metadata have them: a file knows the training that wrote it, not the ones that led there."""
    parts = about.get("mean of", [about])
    steps = [str(part["steps"]) for part in parts if part.get("steps") is not None]
    if len(steps) > 1:
        return f", the mean of {len(parts)} trainings whose last phases had {', '.join(steps)} steps"
    return f", {steps[0]} steps in its last phase" if steps else ""


def check_meshes(weights: str | Path | None, path: str | Path | None) -> Finding:
    """Whether hands come out as the network refined them, or are turned into another model's, and how near they are."""
    from lgnet_core.hand_model import load_hand_model
    from lgnet_core.inference.retarget import Retarget
    from lgnet_core.network.checkpoint import own_hand_model

    wanted = load_hand_model(path)
    own = own_hand_model(weights, wanted)
    if own.digest == wanted.digest:
        return Finding("meshes", Level.OK, "refined by the network")
    distances = 1000 * Retarget(own, wanted).joint_distances()
    detail = (
        f"retargeted from {own.name}, which the weights are of: the parametric surface of {wanted.name}, not the "
        f"refined mesh; its joints lie {distances.mean():.1f} mm from the network's own, at most {distances.max():.1f} "
        "mm (random poses and shapes)"
    )
    return Finding("meshes", Level.NOTE, detail, "for refined meshes, train with this hand model: `lgnet train`")


def check_detectors() -> Finding:
    """The networks that find hands in an image and say where their joints are."""
    from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
    from lgnet_core.network.detector.palm_detector import load_palm_detector

    networks = (("palm detector", load_palm_detector()), ("hand-landmark network", load_hand_landmark_net()))
    sizes = (f"{name} {sum(p.numel() for p in net.parameters()) / 1e6:.1f} M" for name, net in networks)
    return Finding("hand finders", Level.OK, f"bundled: {', '.join(sizes)} parameters")


def check_cache() -> Finding:
    """Exported networks can be kept."""
    from lgnet_core.io.cache import CACHE_VARIABLE, cache_directory

    folder = cache_directory()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Finding(
            "cache",
            Level.NOTE,
            f"{folder} cannot be written ({error.strerror}): the network is exported in every process",
            f"make it writable, or set {CACHE_VARIABLE} to a folder that is",
        )
    return Finding("cache", Level.OK, str(folder))


def check_estimate(weights: str | Path | None, hand_model: str | Path | None, device: str) -> Finding:
    """An image of the bundled clip that shows both hands goes through everything."""
    import time

    from lgnet_core.data.clip import read_clip
    from lgnet_core.inference import HandEstimator

    clip = read_clip()
    image = clip.frames[int(clip.presence.all(1).argmax())]
    estimator = HandEstimator.load(weights, device, hand_model)
    estimator.warm_up()
    start = time.perf_counter()
    found = estimator.estimate(image, clip.camera)
    milliseconds = 1000 * (time.perf_counter() - start)
    engines = "; ".join(f"{name}: {engine}" for name, engine in estimator.engines.items())
    hands = " and ".join(hand.side.label for hand in found.hands) or "none"
    detail = f"{milliseconds:.0f} ms for an image of the demo's clip, hands found: {hands} ({engines})"
    return Finding("one estimate", Level.OK, detail)
