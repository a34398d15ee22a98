"""Registration of depth maps, against the scene as the other camera sees it."""

from __future__ import annotations

import numpy as np
import pytest
import roma
import torch
from support.depth_renderer import render_depth

from lgnet_core.geometry.depth_registration import DepthRegistration
from lgnet_core.types import Camera

COLOUR = Camera(np.array([[300.0, 0, 159.5], [0, 300, 119.5], [0, 0, 1]]), 320, 240)
DEPTH = Camera(np.array([[200.0, 0, 99.5], [0, 200, 74.5], [0, 0, 1]]), 200, 150)
TRANSLATION = np.array([0.05, 0.0, 0.01])
"""Of the depth camera in the frame of the colour camera, metres."""


def rotation(degrees: float = 3.0) -> np.ndarray:
    return roma.rotvec_to_rotmat(torch.tensor([0.0, np.radians(degrees), 0.0], dtype=torch.float64)).numpy()


def plate(centre, size: float):
    corners = np.array([[-1, -1, 0.0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * size / 2
    return corners + centre, np.array([[0, 1, 2], [0, 2, 3]])


SCENE = [plate((0, 0, 1.2), 4.0), plate((0.03, 0.02, 0.5), 0.15)]
"""A wall, and a plate of 15 cm half a metre away; in the frame of the colour camera."""


def seen_by_depth_camera() -> np.ndarray:
    inverse = rotation().T
    return render_depth([((vertices - TRANSLATION) @ inverse.T, faces) for vertices, faces in SCENE], DEPTH)


def test_registered_depth_is_that_of_the_colour_camera():
    """Within a millimetre, except within three pixels of the plate's edge and where the depth camera sees nothing."""
    registered = DepthRegistration(DEPTH, COLOUR, rotation(), TRANSLATION)(seen_by_depth_camera())
    expected = render_depth(SCENE, COLOUR)
    interior = np.ones_like(expected, bool)
    for axis in (0, 1):
        for shift in range(-3, 4):
            interior &= np.abs(np.roll(expected, shift, axis) - expected) < 0.1
    known = registered > 0
    assert known.mean() > 0.8
    error = np.abs(registered - expected)[known & interior]
    assert np.quantile(error, 0.98) < 0.002
    on_plate = interior & (expected < 0.6)
    assert known[on_plate].all()
    assert np.abs(registered - expected)[on_plate].max() < 0.003


def test_wall_does_not_show_through_the_plate():
    """The depth camera has fewer pixels, so projected pixels of the plate have gaps."""
    registered = DepthRegistration(DEPTH, COLOUR, rotation(), TRANSLATION)(seen_by_depth_camera())
    expected = render_depth(SCENE, COLOUR)
    assert (registered[expected < 0.6] < 0.6).mean() > 0.97


@pytest.mark.parametrize("missing", [0.0, np.nan, np.inf, -1.0])
def test_nothing_measured(missing):
    registered = DepthRegistration(DEPTH, COLOUR, np.eye(3), np.zeros(3))(np.full((150, 200), missing))
    assert registered.shape == (240, 320)
    assert (registered == 0).all()


def test_same_camera_changes_nothing():
    depth = np.random.default_rng(0).uniform(0.5, 0.52, (240, 320))
    np.testing.assert_allclose(
        DepthRegistration(COLOUR, COLOUR, np.eye(3), np.zeros(3))(depth), depth.astype(np.float32), rtol=1e-6
    )


def test_depth_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"depth map: 320x240 pixels, but its camera has 200x150"):
        DepthRegistration(DEPTH, COLOUR, np.eye(3), np.zeros(3))(np.zeros((240, 320)))
