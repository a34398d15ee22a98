"""Plausibility of a camera's intrinsics for its image size."""

from __future__ import annotations

from lgnet_core.types import FloatArray

FOCAL_RANGE = (0.2, 4.0)
"""Focal length over the longer side of the image: fields of view from 136 to 14 degrees."""
CENTRE_RANGE = (0.3, 0.7)
"""Principal point over the side of the image."""
MAX_ASPECT = 2.0
"""Ratio of the focal lengths along u and v."""


def implausible_intrinsics(matrix: FloatArray, width: float, height: float) -> str:
    """Describe intrinsics that no ordinary camera of this image size has; empty if they are plausible.

    They are typical of a calibration at another resolution, or of another camera. Such a camera model is usable, but
    distances scale with its focal length.

    Args:
        matrix: (3, 3) K, pixels.
        width, height: of the uncropped image, pixels. In a crop the principal point may be anywhere.
    """
    fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    low, high = CENTRE_RANGE
    if not (low * width <= cx <= high * width and low * height <= cy <= high * height):
        return (
            f"the principal point ({cx:.1f}, {cy:.1f}) is "
            + ("far from the centre" if 0 <= cx < width and 0 <= cy < height else "outside")
            + f" of the {width:g}x{height:g} image"
        )
    low, high = (limit * max(width, height) for limit in FOCAL_RANGE)
    if not (low <= min(fx, fy) and max(fx, fy) <= high and 1 / MAX_ASPECT <= fx / fy <= MAX_ASPECT):
        return (
            f"the focal lengths ({fx:.1f}, {fy:.1f}) are not those of a camera with {width:g}x{height:g} pixels, "
            f"which has {low:g} to {high:g} and similar ones in both directions"
        )
    return ""
