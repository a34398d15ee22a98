"""Images of hands that a person can look at: an overlay, a view from elsewhere, a contact sheet.

Right hands are orange and left hands blue (Okabe and Ito's colours, told apart with every colour vision). Both meshes
go through one z-buffer, so that the nearer hand hides the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from lgnet_core.geometry.camera import project_distorted
from lgnet_core.types import JOINT_PARENTS, WRIST, Camera, FloatArray, Hand, Side, TwoHands
from lgnet_core.visualization.raster import rasterize

SIDE_COLOURS: tuple[tuple[int, int, int], ...] = ((230, 159, 0), (0, 114, 178))
"""RGB of the right and the left hand, index = Side."""

_ALPHA = 0.72
_LIGHT = np.array([-0.35, -0.5, -0.79])  # towards the light: from above, left, behind the viewer
_PAPER = (244, 244, 240)
_INK = (40, 40, 40)
_FAR = 100.0  # metres: a view from so far is orthographic
_MAX_SUPERSAMPLED = 4_000_000  # pixels; larger areas are drawn without anti-aliasing


_Box = tuple[int, int, int, int]  # left, top, right, bottom, pixels


class _Solid(NamedTuple):
    """A hand's mesh on the screen: vertices as (u, v) pixels and depth, normals in the viewer's frame."""

    side: Side
    screen: FloatArray  # (778, 3)
    normals: FloatArray  # (778, 3)
    faces: FloatArray  # (1538, 3)


def in_one_frame(hands: TwoHands) -> list[tuple[Hand, FloatArray]]:
    """The hands with the (3,) offset in metres that brings them into one frame.

    That is the camera's frame if ``hands.metric``; else the right wrist's (or that of the only hand), camera axes.
    """
    offsets = np.zeros((2, 3))
    if not hands.metric and hands.relative_translation is not None:
        offsets[Side.LEFT] = hands.relative_translation
    return [(hand, offsets[hand.side]) for hand in hands.hands]


def draw_overlay(image: FloatArray, hands: TwoHands, camera: Camera | None = None) -> FloatArray:
    """The image with shaded, semi-transparent meshes, skeletons, sides and presences drawn over it.

    Args:
        image: RGB, not changed.
        camera: of this image; needed if ``hands.metric``. Without it each mesh is laid onto its 2D joints.

    Shapes:
        image: (H, W, 3) uint8; returns (H, W, 3) uint8.

    Raises:
        ValueError: if the hands are metric and no camera is given.
    """
    if hands.metric and camera is None:
        raise ValueError("draw_overlay: metric hands stand in a camera's frame; give the camera of this image")
    image = _shade([_onto_image(hand, offset, camera) for hand, offset in in_one_frame(hands)], image, _ALPHA)
    for hand in sorted(hands.hands, key=lambda hand: -float(hand.joints[WRIST, 2])):
        _draw_skeleton(image, hand)
    taken: list[_Box] = []
    for hand in hands.hands:
        taken.append(_draw_label(image, hand, taken))
    if not hands.hands:
        _text(image, "no hands", (0.02 * image.shape[1], 0.06 * image.shape[0]), (255, 255, 255), _INK)
    return image


def draw_view(
    hands: TwoHands, width: int, height: int, yaw: float = 0.0, pitch: float = 0.0, title: str = ""
) -> FloatArray:
    """The meshes alone, orthographic and to scale, seen from a direction other than the camera's.

    Args:
        yaw: radians by which the viewer walks around the hands, to the camera's right.
        pitch: radians by which the viewer climbs.

    Shapes: returns (height, width, 3) uint8 RGB.
    """
    canvas = np.full((height, width, 3), _PAPER, np.uint8)
    placed = in_one_frame(hands)
    if placed:
        turn = _turn(yaw, pitch)
        meshes = [(hand.vertices + offset) @ turn.T for hand, offset in placed]
        low, high = np.concatenate(meshes).min(0), np.concatenate(meshes).max(0)
        scale = 0.8 * min(np.array([width, height]) / (high - low)[:2].clip(1e-3))
        solids = []
        for (hand, _), mesh in zip(placed, meshes):
            screen = (mesh - (low + high) / 2) * scale + [width / 2, height / 2, 0]
            screen[:, 2] = mesh[:, 2] - low[2] + _FAR
            solids.append(_Solid(hand.side, screen, _normals(mesh, hand.faces), hand.faces))
        canvas = _shade(solids, canvas, alpha=1.0)
        _draw_scale(canvas, scale)
    _text(canvas, title if placed else "no hands", (8, 0.035 * height + 8), _INK)
    return canvas


def draw_3d(hands: TwoHands, height: int = 480) -> FloatArray:
    """The meshes from the camera's side, from their right and from above: (height, 3 height, 3) uint8 RGB."""
    quarter = np.pi / 2
    views = (("from the camera", 0.0, 0.0), ("from the camera's right", quarter, 0.0), ("from above", 0.0, quarter))
    return np.hstack([draw_view(hands, height, height, yaw, pitch, title) for title, yaw, pitch in views])


def draw_heatmap(image: FloatArray, share: FloatArray, title: str) -> FloatArray:
    """An image under a map of shares of attention: what gets the most is bright yellow, what gets none nearly black.

    Beside the title stands how much more than an even share the most is, since every map is drawn at full contrast.

    Args:
        image: RGB, not changed. share: at least 0, cells over the whole image.

    Shapes:
        image: (H, W, 3) uint8; share: (h, w); returns (H, W, 3) uint8.
    """
    height, width = image.shape[:2]
    most, even = float(share.max()), float(share.mean())
    smooth = cv2.resize(share.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    levels = np.rint(255 * (smooth / max(most, 1e-12)).clip(0, 1)).astype(np.uint8)
    heat = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    drawn = cv2.addWeighted(heat, 0.65, grey, 0.35, 0)
    _text(drawn, title, (4, 12), (255, 255, 255), _INK)
    _text(drawn, f"most: {most / max(even, 1e-12):.1f} x even", (4, height - 6), (255, 255, 255), _INK)
    return drawn


def contact_sheet(images: Sequence[FloatArray], columns: int, width: int) -> FloatArray:
    """Images of equal shape (H, W, 3) side by side in rows, each ``width`` pixels wide; uint8 RGB."""
    height = max(1, round(width * images[0].shape[0] / images[0].shape[1]))
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + 2), columns * (width + 2), 3), 255, np.uint8)
    for k, image in enumerate(images):
        v, u = k // columns * (height + 2), k % columns * (width + 2)
        sheet[v : v + height, u : u + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return sheet


def write_png(path: str | Path, image: FloatArray) -> None:
    """Write RGB (H, W, 3) uint8.

    Raises:
        OSError: if the file cannot be written.
    """
    good, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert good
    Path(path).write_bytes(data.tobytes())


def _onto_image(hand: Hand, offset: FloatArray, camera: Camera | None) -> _Solid:
    normals = _normals(hand.vertices, hand.faces)
    if camera is not None:
        safe = hand.vertices.copy()
        safe[:, 2] = safe[:, 2].clip(1e-3)  # what is behind the camera is dropped by the rasteriser
        screen = np.column_stack([project_distorted(safe, camera), safe[:, 2]])
    else:
        # Pixels = scale * metres + shift, least squares over the joints: a weak perspective camera of its own.
        metres, pixels = hand.joints[:, :2], hand.joints_2d
        centred, target = metres - metres.mean(0), pixels - pixels.mean(0)
        scale = max(float((centred * target).sum() / (centred**2).sum()), 1.0)
        flat = (hand.vertices[:, :2] - metres.mean(0)) * scale + pixels.mean(0)
        screen = np.column_stack([flat, hand.vertices[:, 2] + offset[2] + _FAR])
    return _Solid(hand.side, screen, normals, hand.faces)


def _normals(vertices: FloatArray, faces: FloatArray) -> FloatArray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    weighted = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], weighted)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)


def _shade(solids: Sequence[_Solid], image: FloatArray, alpha: float) -> FloatArray:
    """A copy of the image with the solids drawn over it."""
    image = image.copy()
    height, width = image.shape[:2]
    if not solids:
        return image
    flat = np.concatenate([solid.screen for solid in solids])[:, :2]
    left, top = np.floor(flat.min(0) - 1).clip(0, [width, height]).astype(int)
    right, bottom = np.ceil(flat.max(0) + 2).clip(0, [width, height]).astype(int)
    if right <= left or bottom <= top:
        return image
    window = image[top:bottom, left:right]
    fine = 2 if window.shape[0] * window.shape[1] * 4 <= _MAX_SUPERSAMPLED else 1
    layer = _render(solids, (left, top), window.shape[0] * fine, window.shape[1] * fine, fine)
    layer = cv2.resize(layer, (window.shape[1], window.shape[0]), interpolation=cv2.INTER_AREA)
    opacity = layer[..., 3:] * alpha
    window[:] = np.rint(window * (1 - opacity) + layer[..., :3] * alpha).astype(np.uint8)
    return image


def _render(solids: Sequence[_Solid], origin: tuple[int, int], height: int, width: int, fine: int) -> FloatArray:
    """(height, width, 4) float32: colour times coverage (0..255) and coverage (0..1) of the window's pixels."""
    screen = np.concatenate([solid.screen for solid in solids])
    screen[:, :2] = (screen[:, :2] - origin + 0.5) * fine - 0.5
    starts = np.cumsum([0] + [len(solid.screen) for solid in solids])
    faces = np.concatenate([solid.faces + start for solid, start in zip(solids, starts)])
    owner = np.repeat(np.arange(len(solids)), [len(solid.faces) for solid in solids])
    normals = torch.from_numpy(np.concatenate([solid.normals for solid in solids])).float()
    index = torch.from_numpy(faces.astype(np.int64))
    fragments = rasterize(torch.from_numpy(screen).float()[None], index, height, width)
    normal = torch.nn.functional.normalize(fragments.interpolate(normals.T[:, None], index), dim=0).T.numpy()  # (N, 3)
    pixel, hand = fragments.pixel.numpy(), owner[fragments.face.numpy()]
    normal = np.where(normal[:, 2:] > 0, -0.4 * normal, normal)  # the inside, seen through the open wrist: dim
    facing = (normal @ _LIGHT).clip(0)
    shade = 0.45 + 0.6 * facing + 0.35 * facing**12  # ambient, matt, gloss
    seen = np.full((height, width), -1)
    seen.reshape(-1)[pixel] = hand
    border = np.zeros_like(seen, bool)
    border[:, 1:] |= seen[:, 1:] != seen[:, :-1]
    border[1:] |= seen[1:] != seen[:-1]
    shade = np.where(border.reshape(-1)[pixel], 0.5 * shade, shade)
    colours = np.array([SIDE_COLOURS[solid.side] for solid in solids], np.float32)
    layer = np.zeros((height * width, 4), np.float32)
    layer[pixel, :3] = (colours[hand] * shade[:, None]).clip(0, 255)
    layer[pixel, 3] = 1
    return layer.reshape(height, width, 4)


def _turn(yaw: float, pitch: float) -> FloatArray:
    """Camera axes to the axes of a viewer who walked around to the right by ``yaw``, then climbed by ``pitch``."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    around = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    climb = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return climb @ around


def _draw_skeleton(image: FloatArray, hand: Hand) -> None:
    points = hand.joints_2d
    thickness = max(2, round(float(np.ptp(points, axis=0).max()) / 100))
    fixed = [tuple(int(x) for x in np.rint(p.clip(-1e4, 1e5) * 16)) for p in points]
    for joint, parent in enumerate(JOINT_PARENTS):
        if parent >= 0:
            cv2.line(image, fixed[parent], fixed[joint], (255, 255, 255), thickness + 2, cv2.LINE_AA, 4)
            cv2.line(image, fixed[parent], fixed[joint], SIDE_COLOURS[hand.side], thickness, cv2.LINE_AA, 4)
    for point in fixed:
        cv2.circle(image, point, (thickness + 1) * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
        cv2.circle(image, point, thickness * 16, SIDE_COLOURS[hand.side], -1, cv2.LINE_AA, 4)


def _draw_label(image: FloatArray, hand: Hand, taken: Sequence[_Box]) -> _Box:
    """Side and presence beside the wrist, away from the fingers and from the labels that are ``taken``."""
    wrist, away = hand.joints_2d[WRIST], hand.joints_2d[WRIST] - hand.joints_2d.mean(0)
    anchor = wrist + 0.2 * away
    text = f"{hand.side.label} {hand.presence:.2f}"
    return _text(image, text, anchor, (255, 255, 255), SIDE_COLOURS[hand.side], taken)


def _draw_scale(canvas: FloatArray, pixels_per_metre: float) -> None:
    """A bar of 5 cm at the lower left."""
    height = canvas.shape[0]
    start, end = (10, height - 12), (round(10 + 0.05 * pixels_per_metre), height - 12)
    cv2.line(canvas, start, end, _INK, 2)
    _text(canvas, "5 cm", (start[0], height - 20), _INK)


def _text(
    image: FloatArray,
    text: str,
    anchor: Sequence[float] | FloatArray,
    colour: tuple[int, int, int],
    paper: tuple[int, int, int] | None = None,
    taken: Sequence[_Box] = (),
) -> _Box:
    """Text whose lower left corner is near ``anchor``, inside the image and off the boxes ``taken``, in place."""
    height, width = image.shape[:2]
    size = max(0.35, min(height, width) / 1000)
    (w, h), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    u = int(np.clip(anchor[0], 2, max(2, width - w - 4)))
    v = int(np.clip(anchor[1], h + 4, max(h + 4, height - below - 2)))
    box = (u - 2, v - h - 3, u + w + 2, v + below)
    for other in taken:
        if box[0] <= other[2] and other[0] <= box[2] and box[1] <= other[3] and other[1] <= box[3]:
            step = other[3] + 2 - box[1] if other[3] + h + below + 6 < height else other[1] - 2 - box[3]
            v, box = v + step, (box[0], box[1] + step, box[2], box[3] + step)
    if paper is not None:
        cv2.rectangle(image, box[:2], box[2:], paper, -1)
    cv2.putText(image, text, (u, v), cv2.FONT_HERSHEY_SIMPLEX, size, colour, max(1, round(size * 1.4)), cv2.LINE_AA)
    return box
