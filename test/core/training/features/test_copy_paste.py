"""Copy-paste augmentation."""

from __future__ import annotations

import numpy as np
import pytest

from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import StoredHands, write_shards
from lgnet_core.training.features.copy_paste import paste_occluders
from lgnet_core.training.features.teacher import PseudoLabel, TeacherSettings
from lgnet_core.types import Side


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, hand_model) -> StoredHands:
    folder = write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(5, hand_model), 4, 64, progress=False)
    return StoredHands(folder, hand_model)


@pytest.mark.parametrize("rendered_probability", [0.0, 1.0], ids=["patch of another image", "rendered hand"])
def test_occluder_covers_the_hand_only(rendered, rendered_probability):
    """It changes pixels near the hand, and none farther away than its scale and offset allow."""
    settings = TeacherSettings(paste_probability=1.0, rendered_probability=rendered_probability)
    joints = np.random.default_rng(0).uniform(50, 70, (21, 2))
    image = np.full((160, 200, 3), 128, np.uint8)
    others = [image, *(np.full((80, 80, 3), value, np.uint8) for value in (0, 255))]
    hands = [PseudoLabel(Side.RIGHT, joints)]
    for seed in range(8):
        pasted = paste_occluders(image, hands, others, 0, rendered, settings, np.random.default_rng(seed))
        rows, columns = np.nonzero((pasted != image).any(-1))
        assert 20 < len(rows) < 3000
        distance = np.hypot(columns - joints[:, 0].mean(), rows - joints[:, 1].mean())
        assert distance.max() < 20 * (0.6 * np.sqrt(2) + 1.3 * np.sqrt(2))
    assert (image == 128).all()
