"""Drawings of hands for people: overlays, 3D views, attention heatmaps, contact sheets.

Right hands are orange and left hands blue (from Okabe and Ito's palette for all types of colour vision).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.geometry.normals import vertex_normals
from lgnet_core.io.output import write_bytes
from lgnet_core.types import (
    JOINT_PARENTS,
    WRIST,
    Camera,
    FloatArray,
    Hand,
    Hands,
    ImageArray,
    ImageHands,
    Side,
    TwoHands,
)
from lgnet_core.visualization.shading import ScreenMesh, draw_meshes

SIDE_COLOURS: tuple[tuple[int, int, int], ...] = ((230, 159, 0), (0, 114, 178))
"""RGB of the right and the left hand, indexed by Side."""

_OVERLAY_ALPHA = 0.72
_HEATMAP_ALPHA = 0.65
_BACKGROUND = (244, 244, 240)
_DARK = (40, 40, 40)
_WHITE = (255, 255, 255)
_FAR = 100.0  # metres: depth offset of an orthographic view, beyond the near plane of the rasteriser
_SCALE_BAR = 0.05  # metres
_VIEW_FRACTION = 0.8  # of the view, filled by the hands

HOLLOW_STD = 0.02
"""Metres, about the width of a finger: joints with a larger standard deviation are drawn hollow."""

_Box = tuple[int, int, int, int]  # left, top, right, bottom, pixels


def hand_offsets(hands: TwoHands) -> list[tuple[Hand, FloatArray]]:
    """The hands, each with the (3,) translation in metres to a common frame.

    That is the camera frame if ``hands.metric``; else the right wrist's (or the only hand's), with camera axes.
    """
    offsets = np.zeros((2, 3))
    if not hands.metric and hands.relative_translation is not None:
        offsets[Side.LEFT] = hands.relative_translation
    return [(hand, offsets[hand.side]) for hand in hands.hands]


def draw_overlay(
    image: ImageArray, hands: Hands, camera: Camera | None = None, anti_aliasing: bool = True
) -> ImageArray:
    """Draw shaded, semi-transparent meshes, skeletons, sides and presences over a copy of the image.

    The labels of all but the first person's hands have the index of the person.

    Joints of which the network is unsure (:data:`HOLLOW_STD`) are hollow.

    Args:
        camera: of this image; required if ``hands.metric``. Otherwise each mesh is aligned with its 2D joints.
        anti_aliasing: smooth edges of the meshes, for several times the time.

    Shapes:
        image: (H, W, 3); returns (H, W, 3).

    Raises:
        ValueError: if the hands are metric and no camera is given.
    """
    if hands.metric and camera is None:
        raise ValueError("draw_overlay: metric hands are in a camera's frame; pass the camera of this image")
    people = hands.people if isinstance(hands, ImageHands) else [hands]
    meshes = [_project_mesh(hand, offset, camera) for each in people for hand, offset in hand_offsets(each)]
    image = draw_meshes(meshes, image, _OVERLAY_ALPHA, anti_aliasing)
    for hand in sorted(hands.hands, key=lambda hand: -float(hand.joints[WRIST, 2])):
        _draw_skeleton(image, hand)
    labels: list[_Box] = []
    for hand in hands.hands:
        labels.append(_draw_label(image, hand, labels))
    if not hands.hands:
        _draw_text(image, "no hands", (0.02 * image.shape[1], 0.06 * image.shape[0]), _WHITE, _DARK)
    return image


def draw_view(
    hands: TwoHands, width: int, height: int, yaw: float = 0.0, pitch: float = 0.0, title: str = ""
) -> ImageArray:
    """Render the meshes alone, orthographically and to scale, from another direction than the camera's.

    Args:
        yaw: radians by which the viewer orbits the hands, to the camera's right.
        pitch: radians by which the viewer rises.

    Shapes: returns (height, width, 3) RGB.
    """
    canvas = np.full((height, width, 3), _BACKGROUND, np.uint8)
    placed = hand_offsets(hands)
    if placed:
        rotation = _view_rotation(yaw, pitch)
        rotated = [(hand.vertices + offset) @ rotation.T for hand, offset in placed]
        low, high = np.concatenate(rotated).min(0), np.concatenate(rotated).max(0)
        pixels_per_metre = _VIEW_FRACTION * min(np.array([width, height]) / (high - low)[:2].clip(1e-3))
        meshes = []
        for (hand, _), vertices in zip(placed, rotated):
            screen = (vertices - (low + high) / 2) * pixels_per_metre + [width / 2, height / 2, 0]
            screen[:, 2] = vertices[:, 2] - low[2] + _FAR
            normals = vertex_normals(vertices, hand.faces)
            meshes.append(ScreenMesh(SIDE_COLOURS[hand.side], screen, normals, hand.faces))
        canvas = draw_meshes(meshes, canvas, alpha=1.0)
        _draw_scale_bar(canvas, pixels_per_metre)
    _draw_text(canvas, title if placed else "no hands", (8, 0.035 * height + 8), _DARK)
    return canvas


def draw_3d(hands: TwoHands, height: int = 480) -> ImageArray:
    """The meshes from the camera, from its right and from above, side by side: (height, 3 height, 3) RGB."""
    quarter = np.pi / 2
    views = (("from the camera", 0.0, 0.0), ("from the camera's right", quarter, 0.0), ("from above", 0.0, quarter))
    return np.hstack([draw_view(hands, height, height, yaw, pitch, title) for title, yaw, pitch in views])


def draw_heatmap(image: ImageArray, weights: FloatArray, title: str) -> ImageArray:
    """Blend attention weights over a greyscale image: the maximum is bright yellow, zero is nearly black.

    Every map is drawn at full contrast, so the ratio of its maximum to its mean is printed below.

    Args:
        image: RGB, not modified.
        weights: non-negative, cells that cover the whole image.

    Shapes:
        image: (H, W, 3); weights: (h, w); returns (H, W, 3).
    """
    height, width = image.shape[:2]
    maximum, mean = float(weights.max()), float(weights.mean())
    smooth = cv2.resize(weights.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    levels = np.rint(255 * (smooth / max(maximum, 1e-12)).clip(0, 1)).astype(np.uint8)
    heat = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    blended = cast(ImageArray, cv2.addWeighted(heat, _HEATMAP_ALPHA, grey, 1 - _HEATMAP_ALPHA, 0))
    _draw_text(blended, title, (4, 12), _WHITE, _DARK)
    _draw_text(blended, f"max: {maximum / max(mean, 1e-12):.1f} x mean", (4, height - 6), _WHITE, _DARK)
    return blended


def contact_sheet(images: Sequence[ImageArray], columns: int, width: int) -> ImageArray:
    """Images of equal shape (H, W, 3) in rows, each scaled to ``width`` pixels; RGB."""
    height = max(1, round(width * images[0].shape[0] / images[0].shape[1]))
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + 2), columns * (width + 2), 3), 255, np.uint8)
    for k, image in enumerate(images):
        v, u = k // columns * (height + 2), k % columns * (width + 2)
        sheet[v : v + height, u : u + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return sheet


def write_png(path: str | Path, image: ImageArray) -> None:
    """Write an RGB image (H, W, 3).

    Raises:
        OutputError: if the file cannot be written.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    success, data = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])  # half the time, a fifth larger
    assert success
    write_bytes(Path(path), data.tobytes())


def _project_mesh(hand: Hand, offset: FloatArray, camera: Camera | None) -> ScreenMesh:
    if camera is not None:
        vertices = hand.vertices.copy()
        vertices[:, 2] = vertices[:, 2].clip(1e-3)  # the rasteriser drops what is behind the camera
        screen = np.column_stack([project_distorted(vertices, camera), vertices[:, 2]])
    else:
        # Weak perspective: pixels = scale * metres + shift, least squares over the joints.
        metres, pixels = hand.joints[:, :2], hand.joints_2d
        centred, target = metres - metres.mean(0), pixels - pixels.mean(0)
        scale = max(float((centred * target).sum() / (centred**2).sum()), 1.0)
        projected = (hand.vertices[:, :2] - metres.mean(0)) * scale + pixels.mean(0)
        screen = np.column_stack([projected, hand.vertices[:, 2] + offset[2] + _FAR])
    return ScreenMesh(SIDE_COLOURS[hand.side], screen, vertex_normals(hand.vertices, hand.faces), hand.faces)


def _view_rotation(yaw: float, pitch: float) -> FloatArray:
    """(3, 3) camera axes -> axes of a viewer who orbits to the right by ``yaw``, then rises by ``pitch``."""
    cos_yaw, sin_yaw, cos_pitch, sin_pitch = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    orbit = np.array([[cos_yaw, 0, sin_yaw], [0, 1, 0], [-sin_yaw, 0, cos_yaw]])
    rise = np.array([[1, 0, 0], [0, cos_pitch, -sin_pitch], [0, sin_pitch, cos_pitch]])
    return rise @ orbit


def _draw_skeleton(image: ImageArray, hand: Hand) -> None:
    points = hand.joints_2d
    thickness = max(2, round(float(np.ptp(points, axis=0).max()) / 100))
    # Fixed-point coordinates with 4 fractional bits, clipped to OpenCV's range.
    fixed = [tuple(int(x) for x in np.rint(p.clip(-1e4, 1e5) * 16)) for p in points]
    for joint, parent in enumerate(JOINT_PARENTS):
        if parent >= 0:
            cv2.line(image, fixed[parent], fixed[joint], _WHITE, thickness + 2, cv2.LINE_AA, 4)
            cv2.line(image, fixed[parent], fixed[joint], SIDE_COLOURS[hand.side], thickness, cv2.LINE_AA, 4)
    for point, std in zip(fixed, hand.joint_std):
        cv2.circle(image, point, (thickness + 1) * 16, _WHITE, -1, cv2.LINE_AA, 4)
        if std > HOLLOW_STD:
            cv2.circle(image, point, (thickness + 1) * 16, SIDE_COLOURS[hand.side], 1, cv2.LINE_AA, 4)
        else:
            cv2.circle(image, point, thickness * 16, SIDE_COLOURS[hand.side], -1, cv2.LINE_AA, 4)


def _draw_label(image: ImageArray, hand: Hand, occupied: Sequence[_Box]) -> _Box:
    """Side and presence next to the wrist, away from the fingers and from the ``occupied`` boxes."""
    wrist = hand.joints_2d[WRIST]
    anchor = wrist + 0.2 * (wrist - hand.joints_2d.mean(0))
    text = f"{hand.side.label} {hand.presence:.2f}" + (f" person {hand.person}" if hand.person else "")
    return _draw_text(image, text, anchor, _WHITE, SIDE_COLOURS[hand.side], occupied)


def _draw_scale_bar(canvas: ImageArray, pixels_per_metre: float) -> None:
    """A bar of 5 cm at the lower left."""
    height = canvas.shape[0]
    start, end = (10, height - 12), (round(10 + _SCALE_BAR * pixels_per_metre), height - 12)
    cv2.line(canvas, start, end, _DARK, 2)
    _draw_text(canvas, f"{100 * _SCALE_BAR:g} cm", (start[0], height - 20), _DARK)


def _draw_text(
    image: ImageArray,
    text: str,
    anchor: Sequence[float] | FloatArray,
    colour: tuple[int, int, int],
    background: tuple[int, int, int] | None = None,
    occupied: Sequence[_Box] = (),
) -> _Box:
    """Text with its lower left corner near ``anchor``, inside the image and off the ``occupied`` boxes, in place."""
    height, width = image.shape[:2]
    size = max(0.35, min(height, width) / 1000)
    (w, h), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    u = int(np.clip(anchor[0], 2, max(2, width - w - 4)))
    v = int(np.clip(anchor[1], h + 4, max(h + 4, height - baseline - 2)))
    box = (u - 2, v - h - 3, u + w + 2, v + baseline)
    for other in occupied:
        if box[0] <= other[2] and other[0] <= box[2] and box[1] <= other[3] and other[1] <= box[3]:
            step = other[3] + 2 - box[1] if other[3] + h + baseline + 6 < height else other[1] - 2 - box[3]
            v, box = v + step, (box[0], box[1] + step, box[2], box[3] + step)
    if background is not None:
        cv2.rectangle(image, box[:2], box[2:], background, -1)
    cv2.putText(image, text, (u, v), cv2.FONT_HERSHEY_SIMPLEX, size, colour, max(1, round(size * 1.4)), cv2.LINE_AA)
    return box
