r"""EXIF orientation: from the pixels as stored to the upright image, and the camera with them.

With the stored width W and height H, orientation 6 (turn by 90 degrees clockwise) moves pixel (u, v) to
(H - 1 - v, u). Every orientation is such a map u' = S u + t with a signed permutation S. The camera's axes turn with
the image, x' = (S x, z), so K' = [S, t; 0, 1] K [S, 0; 0, 1]^T; vectors of the distortion turn by S, radial terms stay.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lgnet_core.types import Camera, FloatArray

UPRIGHT = 1

_MATRICES: dict[int, tuple[tuple[int, int], tuple[int, int]]] = {
    1: ((1, 0), (0, 1)),
    2: ((-1, 0), (0, 1)),
    3: ((-1, 0), (0, -1)),
    4: ((1, 0), (0, -1)),
    5: ((0, 1), (1, 0)),
    6: ((0, -1), (1, 0)),
    7: ((0, -1), (-1, 0)),
    8: ((0, 1), (-1, 0)),
}
"""S by orientation."""


def swaps_sides(orientation: int) -> bool:
    """Whether the upright image is as wide as the stored one is high."""
    return orientation >= 5


def turn_image(image: FloatArray, orientation: int) -> FloatArray:
    """Turn an image (H, W, ...) as stored upright."""
    if orientation == UPRIGHT:
        return image
    matrix = np.array(_MATRICES[orientation])
    if swaps_sides(orientation):
        image = image.swapaxes(0, 1)
    columns, rows = (slice(None, None, sign) for sign in matrix.sum(axis=1))
    return np.ascontiguousarray(image[rows, columns])


def turn_camera(camera: Camera, orientation: int) -> Camera:
    """The camera of the upright image, given that of the image as stored. Distortion: (k1, k2, p1, p2, k3, ...).

    Raises:
        ValueError: if the camera has a tilted sensor and the image is turned by 90 degrees, which OpenCV's model cannot
            express.
    """
    if orientation == UPRIGHT:
        return camera
    turn = np.eye(3)
    turn[:2, :2] = _MATRICES[orientation]
    affine, size = turn.copy(), np.array([camera.width, camera.height])
    width, height = size[::-1] if swaps_sides(orientation) else size
    affine[:2, 2] = np.where(turn[:2, :2].sum(axis=1) < 0, np.array([width, height]) - 1, 0)
    distortion = camera.distortion.copy()
    if distortion.size >= 4:
        distortion[[3, 2]] = turn[:2, :2] @ distortion[[3, 2]]
    if distortion.size >= 12:
        for vector in ([8, 10], [9, 11]):  # thin prism: s1 and s3, s2 and s4
            distortion[vector] = turn[:2, :2] @ distortion[vector]
    if distortion.size == 14 and distortion[12:].any():
        if swaps_sides(orientation):
            raise ValueError(
                "camera: the tilt of the sensor (distortion coefficients 13 and 14) cannot be turned with an image "
                "by 90 degrees; store the image upright and calibrate with such images"
            )
        # Tilts are rotations about x and y: pseudovectors.
        distortion[12:] *= np.linalg.det(turn) * np.diag(turn)[:2]
    matrix = affine @ camera.matrix @ turn.T
    return replace(camera, matrix=matrix, width=int(width), height=int(height), distortion=distortion)


def camera_of_upright_image(camera: Camera, size: tuple[int, int], orientation: int) -> Camera:
    """The camera of an upright image, given its calibration.

    A calibration refers to the pixels as stored, so it is turned with them; it is used as it is if only the upright
    image has its size, because it was then made from upright images.

    Args:
        size: (width, height) of the upright image.

    Raises:
        ValueError: if the camera was calibrated for another size, or cannot be turned.
    """
    calibrated = camera.width, camera.height
    if calibrated == (size[::-1] if swaps_sides(orientation) else size):
        return turn_camera(camera, orientation)
    if calibrated != size:
        raise ValueError(
            f"the image has {size[0]}x{size[1]} pixels, but the camera was calibrated for "
            f"{camera.width}x{camera.height}; pass the calibration for this image size, or none"
        )
    return camera
