"""A camera without calibration: its field of view or focal length is known, e.g. from a data sheet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lgnet_core.types import Camera


@dataclass(frozen=True)
class AssumedCamera:
    """An ideal pinhole camera for images of any size: square pixels, no distortion, principal point at the centre.

    Args:
        field_of_view: horizontal, radians; or
        focal: focal length in pixels of the images.

    Raises:
        ValueError: unless exactly one of them is given, within its limits.
    """

    field_of_view: float | None = None
    focal: float | None = None

    def __post_init__(self) -> None:
        if (self.field_of_view is None) == (self.focal is None):
            raise ValueError("assumed camera: give either a field of view or a focal length")
        if self.field_of_view is not None and not 0 < self.field_of_view < math.pi:
            degrees = math.degrees(self.field_of_view)
            raise ValueError(f"field of view {degrees:g}: expected degrees between 0 and 180; webcams have 50 to 80")
        if self.focal is not None and not 0 < self.focal < math.inf:
            raise ValueError(f"focal length {self.focal:g}: expected a number of pixels above 0")

    def for_size(self, width: int, height: int) -> Camera:
        """The camera of images of this size, pixels."""
        if self.field_of_view is not None:
            focal = width / 2 / math.tan(self.field_of_view / 2)
        else:
            assert self.focal is not None
            focal = self.focal
        centre = (width - 1) / 2, (height - 1) / 2  # pixel centres lie at integers
        return Camera(np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]]), width, height)
