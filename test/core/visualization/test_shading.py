"""Shaded meshes: opacity, occlusion."""

from __future__ import annotations

import numpy as np

from lgnet_core.visualization.shading import ScreenMesh, draw_meshes

SQUARE = np.array([[10.0, 10, 1], [50, 10, 1], [50, 40, 1], [10, 40, 1]])  # u, v, depth
FACES = np.array([[0, 2, 1], [0, 3, 2]])
RED, BLUE = (200, 0, 0), (0, 0, 200)


def square(colour: tuple[int, int, int], depth: float = 1.0) -> ScreenMesh:
    """Facing the viewer."""
    return ScreenMesh(colour, SQUARE * [1, 1, depth], np.tile([0.0, 0, -1], (4, 1)), FACES)


def grey() -> np.ndarray:
    return np.full((60, 80, 3), 120, np.uint8)


def test_nearer_meshes_occlude_farther_ones_in_any_order():
    near, far = square(RED), square(BLUE, depth=2.0)
    for meshes in ([near, far], [far, near]):
        red, green, blue = draw_meshes(meshes, grey(), alpha=1.0)[25, 30]
        assert red > 150
        assert green == blue == 0


def test_alpha_blends_with_the_image():
    image = grey()
    opaque, half = (draw_meshes([square(RED)], image, alpha) for alpha in (1.0, 0.5))
    np.testing.assert_allclose(half[25, 30], (opaque[25, 30].astype(float) + 120) / 2, atol=1)
    assert (image == 120).all()
    assert (half[50:] == 120).all()


def test_without_meshes_the_image_is_copied():
    image = grey()
    result = draw_meshes([], image, alpha=1.0)
    assert result is not image
    np.testing.assert_array_equal(result, image)


def test_only_edges_depend_on_anti_aliasing():
    """Moved by half a pixel the square covers its border to a half; without anti-aliasing a pixel is red or grey."""
    mesh = square(RED)
    moved = mesh._replace(vertices=mesh.vertices + np.array([0.25, 0.25, 0]))
    smooth, hard = (draw_meshes([moved], grey(), 1.0, anti_aliasing) for anti_aliasing in (True, False))
    np.testing.assert_array_equal(smooth[15:35, 15:45], hard[15:35, 15:45])
    assert len(np.unique(smooth[25, :, 1])) > len(np.unique(hard[25, :, 1])) == 2


def test_shading_follows_the_normal():
    """Lambert and specular light of a unit normal, however long it is given; the inside is dimmed."""
    light = np.array([-0.35, -0.5, -0.79])
    for normal, factor in (([0.3, -0.2, -0.9], 1.0), ([3.0, -2.0, -9.0], 1.0), ([-0.3, 0.2, 0.9], 0.4)):
        unit = np.array(normal) / np.linalg.norm(normal)
        cosine = max(0.0, (unit if factor == 1 else -factor * unit) @ light)
        expected = min(255, 200 * (0.45 + 0.6 * cosine + 0.35 * cosine**12))
        mesh = square(RED)._replace(normals=np.tile(normal, (4, 1)))
        assert abs(int(draw_meshes([mesh], grey(), 1.0)[25, 30, 0]) - expected) <= 1
