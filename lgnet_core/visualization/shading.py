"""Shaded rendering of triangle meshes onto an image: Lambert and specular shading, outlines, anti-aliasing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from lgnet_core.types import FloatArray, ImageArray
from lgnet_core.visualization.raster import rasterize

_LIGHT = np.array([-0.35, -0.5, -0.79], np.float32)  # towards the light: from above, left, behind the viewer
_AMBIENT, _DIFFUSE, _SPECULAR, _SHININESS = 0.45, 0.6, 0.35, 12
_BACKFACE_SHADE = 0.4  # the inside, visible through the open wrist, is dimmed
_OUTLINE_SHADE = 0.5
_MAX_SUPERSAMPLED_PIXELS = 4_000_000  # larger areas are drawn without anti-aliasing, to bound memory and time


class ScreenMesh(NamedTuple):
    """A mesh projected to the screen.

    Args:
        colour: RGB, 0 to 255.

    Shapes:
        vertices: (V, 3) u, v in pixels and depth; normals: (V, 3) in the viewer's frame; faces: (F, 3).
    """

    colour: tuple[int, int, int]
    vertices: FloatArray
    normals: FloatArray
    faces: FloatArray


def draw_meshes(
    meshes: Sequence[ScreenMesh], image: ImageArray, alpha: float, anti_aliasing: bool = True
) -> ImageArray:
    """A copy of the image with the meshes drawn over it; they share one z-buffer, so nearer ones occlude others.

    Args:
        alpha: opacity, 0 to 1.
        anti_aliasing: smooth edges, for several times the time.
    """
    image = image.copy()
    height, width = image.shape[:2]
    if not meshes:
        return image
    pixels = np.concatenate([mesh.vertices for mesh in meshes])[:, :2]
    left, top = np.floor(pixels.min(0) - 1).clip(0, [width, height]).astype(int)
    right, bottom = np.ceil(pixels.max(0) + 2).clip(0, [width, height]).astype(int)
    if right <= left or bottom <= top:
        return image
    window = image[top:bottom, left:right]
    samples = 2 if anti_aliasing and window.shape[0] * window.shape[1] * 4 <= _MAX_SUPERSAMPLED_PIXELS else 1
    layer = _render(meshes, (left, top), window.shape[0] * samples, window.shape[1] * samples, samples)
    if samples > 1:
        layer = cv2.resize(layer, (window.shape[1], window.shape[0]), interpolation=cv2.INTER_AREA)
    opacity = layer[..., 3:] * alpha
    window[:] = np.rint(window * (1 - opacity) + layer[..., :3] * alpha).astype(np.uint8)
    return image


def _render(meshes: Sequence[ScreenMesh], origin: tuple[int, int], height: int, width: int, samples: int) -> FloatArray:
    """(height, width, 4) float32: colour premultiplied by coverage (0..255), and coverage (0..1).

    Args:
        origin: of the window, pixels of the image.
        height, width: of the window, samples.
        samples: per pixel and axis.
    """
    vertices = np.concatenate([mesh.vertices for mesh in meshes])
    vertices[:, :2] = (vertices[:, :2] - origin + 0.5) * samples - 0.5
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts)])
    mesh_of_face = np.repeat(np.arange(len(meshes)), [len(mesh.faces) for mesh in meshes])
    normals = np.concatenate([mesh.normals for mesh in meshes]).astype(np.float32)
    faces = faces.astype(np.int64)
    fragments = rasterize(vertices.astype(np.float32)[None], faces, height, width)
    normal = fragments.interpolate(normals.T[:, None], faces)  # (3, N)
    scale = 1 / np.sqrt((normal**2).sum(0).clip(1e-24))
    scale = np.where(normal[2] > 0, -_BACKFACE_SHADE * scale, scale)
    cosine = ((_LIGHT @ normal) * scale).clip(0)
    shade = _AMBIENT + _DIFFUSE * cosine + _SPECULAR * cosine**_SHININESS
    pixel, mesh_index = fragments.pixel, mesh_of_face[fragments.face]
    index_map = np.full((height, width), -1)
    index_map.reshape(-1)[pixel] = mesh_index
    outline = np.zeros_like(index_map, bool)
    outline[:, 1:] |= index_map[:, 1:] != index_map[:, :-1]
    outline[1:] |= index_map[1:] != index_map[:-1]
    shade = np.where(outline.reshape(-1)[pixel], _OUTLINE_SHADE * shade, shade)
    colours = np.array([mesh.colour for mesh in meshes], np.float32)
    layer = np.zeros((height * width, 4), np.float32)
    layer[pixel, :3] = (colours[mesh_index] * shade[:, None]).clip(0, 255)
    layer[pixel, 3] = 1
    return layer.reshape(height, width, 4)
