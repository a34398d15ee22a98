"""Hard-negative crops."""

from __future__ import annotations

import pytest
import torch

from lgnet_core.geometry.hand_crops import HandCrops
from lgnet_core.network.prediction import HAND_CROP_SIZE
from lgnet_core.training.features.negatives import shows_image


@pytest.mark.parametrize(
    ("centre", "expected"),
    [((100.0, 60.0), True), ((1.0, 60.0), True), ((-10.0, 60.0), False), ((0.0, 0.0), False), ((500.0, 60.0), False)],
    ids=["inside", "half inside", "less than half inside", "corner", "outside"],
)
def test_crops_outside_the_image_are_no_negatives(centre: tuple[float, float], expected: bool) -> None:
    """Crops of 80 pixels, at any angle, of an image of 200 x 120 pixels."""
    for angle in (0.0, 0.5, 2.0):
        crop = HandCrops(
            centre=torch.tensor([centre], dtype=torch.float64),
            side=torch.tensor([80.0], dtype=torch.float64),
            angle=torch.tensor([angle], dtype=torch.float64),
            mirrored=torch.tensor([False]),
        )
        assert shows_image(crop.affine(HAND_CROP_SIZE)[0], (200, 120)) is expected
