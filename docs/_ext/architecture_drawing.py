"""Drawings of the architecture: import layers (from pyproject.toml) and the steps from an image to hands.

python docs/_ext/architecture_drawing.py      # writes docs/images/architecture.svg and docs/images/pipeline.svg
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from typing import NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"

CONTENTS = {
    "lgnet_core": {
        "cli": "the command lgnet, one file per command",
        "live": "from the camera to a page in the browser",
        "commands": "predict, demo, check as functions",
        "training": "losses, trainer, teacher, palm detector, ablation",
        "evaluation": "metrics, protocols, reports, whole pipeline",
        "synthetic": "generator of labelled images, held-out set",
        "data": "samples, augmentation, InterHand2.6M, HIC, realhands",
        "bags": "images from ROS bags, results as bags",
        "recording": "GLB, for Foxglove and rerun",
        "visualization": "overlays, attention maps",
        "robotics": "joint angles, URDF, capsules, OpenXR, handover",
        "messages": "ROS images and camera_info, without ROS",
        "inference": "detection to tracking; HandEstimator, HandTracker",
        "engines": "PyTorch, CUDA graphs, ONNX Runtime; export",
        "network": "LGNet, MediaPipe's networks, EANet, InterShape",
        "geometry": "camera, crops, hand frames, mesh distance",
        "hand_model": "parametric hand, mesh graph, MANO files",
        "io": "images, videos, calibrations, result files",
        "types": "Camera, Hand, TwoHands, Side",
        "concurrency": "thread that processes the latest value",
    },
    "lgnet_ros": {
        "cli": "the command lgnet-hands",
        "demo": "camera that plays the clip, listener",
        "applications": "filters, handover, page",
        "node": "the node hands",
        "process": "executor, signals, arguments, lifecycle client",
        "pipeline": "from the newest image to the outputs",
        "diagnostics": "/diagnostics",
        "tables": "tables of this manual",
        "output": "messages, TF, markers, publishers",
        "perception": "from image to hands",
        "worker": "loading",
        "input": "camera_info by stamp, depth, subscriptions",
        "interop": "cv_bridge and tf2_ros where they import",
        "qos_events": "incompatible QoS, lost messages",
        "throttle": "logs",
        "rate_limit": "images",
        "qos": "QoS profiles",
        "topics": "names",
        "parameters": "values and limits",
    },
}
"""What each module or package holds."""

STEPS = (
    ("Image", "RGB, 8 bit", "and its camera"),
    ("Detection", "palm detector", "on the whole image"),
    ("Observation", "landmark network", "one crop per hand"),
    ("Association", "one right and", "one left hand"),
    ("Reconstruction", "LGNet's stages,", "both hands"),
    ("Placement", "least squares in", "the camera frame"),
    ("TwoHands", "joints, meshes,", "inter-hand transform"),
)

INK, MUTED, PAPER = "#1f2933", "#52606d", "#ffffff"
CORE, ROS, LINE = "#e3f0fb", "#fdf0d9", "#9aa5b1"
FONT = "font-family='DejaVu Sans, Helvetica, Arial, sans-serif'"


class Column(NamedTuple):
    """One package: its layers, from the top."""

    package: str
    note: str
    colour: str
    left: int
    layers: list[str]


def layers(package: str) -> list[str]:
    """The import layers of a package, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return next(list(c["layers"]) for c in contracts if c["type"] == "layers" and c["containers"] == [package])


def draw_layers() -> str:
    """SVG of the layers of both packages and of the one interface between them."""
    width, row, top, box = 1060, 38, 84, 430
    columns = (
        Column("lgnet_ros", "no mathematics, no PyTorch", ROS, 30, layers("lgnet_ros")),
        Column("lgnet_core", "no ROS", CORE, 600, layers("lgnet_core")),
    )
    height = top + row * max(len(column.layers) for column in columns) + 44
    parts = []
    middles: dict[tuple[str, str], float] = {}
    for column in columns:
        parts.append(_text(column.left, 36, column.package, 20, weight="bold"))
        parts.append(_text(column.left, 60, column.note, 13, MUTED))
        for index, layer in enumerate(column.layers):
            y = top + index * row
            modules = layer.split(" | ")
            middles.update({(column.package, module): y + (row - 6) / 2 for module in modules})
            contents = "; ".join(CONTENTS[column.package][module] for module in modules)
            parts.append(_box(column.left, y, box, row - 6, column.colour))
            parts.append(_text(column.left + 12, y + 21, layer, 13, weight="bold"))
            if 8 * len(layer) + 5.6 * len(contents) < box - 24:  # pixels: else the names alone fill the row
                parts.append(_text(column.left + box - 12, y + 21, contents, 11, MUTED, "end"))
        bottom = top + len(column.layers) * row
        x = column.left + box + 14
        if column.package == "lgnet_core":
            parts.append(_arrow(f"M {x} {top} V {bottom - 8}"))
    start, end = middles["lgnet_ros", "perception"], middles["lgnet_core", "inference"]
    parts.append(_arrow(f"M 460 {start} C 530 {start}, 530 {end}, 594 {end}"))
    parts.append(_text(530, min(start, end) - 12, "HandTracker", 11, INK, "middle"))
    parts.append(_text(30, height - 16, "A layer imports only from layers below it in the same column.", 12, MUTED))
    return _svg(width, height, parts)


def draw_steps() -> str:
    """SVG of the steps of the estimator, and of what tracking changes."""
    width, height, step, box = 1000, 190, 139, 124
    parts = []
    for index, (title, *lines) in enumerate(STEPS):
        x = 20 + index * step
        data = index in (0, len(STEPS) - 1)
        parts.append(_box(x, 30, box, 76, ROS if data else CORE))
        parts.append(_text(x + box / 2, 54, title, 13, weight="bold", anchor="middle"))
        parts += [_text(x + box / 2, 76 + 17 * k, line, 11, MUTED, "middle") for k, line in enumerate(lines)]
        if index:
            parts.append(_arrow(f"M {x - step + box + 1} 68 H {x - 3}"))
    first, last = 20 + 2 * step + box / 2, 20 + 5 * step + box / 2
    parts.append(_arrow(f"M {last} 107 V 138 H {first} V 110"))
    text = "Tracking: the last joints give the next crops; detection runs when a hand is missing, or every 10 images"
    parts.append(_text((first + last) / 2, 162, text, 12, MUTED, "middle"))
    return _svg(width, height, parts)


def _svg(width: int, height: int, parts: list[str]) -> str:
    marker = (
        "<defs><marker id='head' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' markerHeight='7' "
        f"orient='auto'><path d='M 0 0 L 10 5 L 0 10 z' fill='{MUTED}'/></marker></defs>"
    )
    background = f"<rect width='{width}' height='{height}' fill='{PAPER}'/>"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>"
    return "\n".join([head, marker, background, *parts, "</svg>", ""])


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    shape = f"x='{x}' y='{y}' width='{width}' height='{height}' rx='5'"
    return f"<rect {shape} fill='{colour}' stroke='{LINE}'/>"


def _text(
    x: float, y: float, text: str, size: int, colour: str = INK, anchor: str = "start", weight: str = "normal"
) -> str:
    style = f"{FONT} font-size='{size}' font-weight='{weight}' text-anchor='{anchor}' fill='{colour}'"
    return f"<text x='{x}' y='{y}' {style}>{escape(text)}</text>"


def _arrow(path: str) -> str:
    return f"<path d='{path}' fill='none' stroke='{MUTED}' stroke-width='1.5' marker-end='url(#head)'/>"


DRAWINGS = {"architecture.svg": draw_layers, "pipeline.svg": draw_steps}

if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        (IMAGES / name).write_text(draw())
