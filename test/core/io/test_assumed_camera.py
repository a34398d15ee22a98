"""Cameras from a field of view or a focal length."""

import math

import numpy as np
import pytest

from lgnet_core.io.assumed_camera import AssumedCamera


def test_the_field_of_view_spans_the_width():
    """The rays through the left and right edges of the image, half a pixel beyond its outer pixel centres."""
    camera = AssumedCamera(field_of_view=math.radians(70)).for_size(640, 480)
    left, right = (np.linalg.inv(camera.matrix) @ [u, 239.5, 1] for u in (-0.5, 639.5))
    angle = math.acos(left @ right / np.linalg.norm(left) / np.linalg.norm(right))
    assert angle == pytest.approx(math.radians(70))
    assert (camera.width, camera.height, camera.distortion.size) == (640, 480, 0)


def test_the_focal_length_is_in_pixels():
    camera = AssumedCamera(focal=600).for_size(640, 480)
    np.testing.assert_allclose(camera.matrix, [[600, 0, 319.5], [0, 600, 239.5], [0, 0, 1]])


@pytest.mark.parametrize("given", [{}, {"focal": 0}, {"focal": math.nan}, {"field_of_view": math.pi}])
def test_impossible_cameras(given):
    with pytest.raises(ValueError, match=r"expected|give either"):
        AssumedCamera(**given)
