"""Synthetic evaluation data sets and their image categories."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lgnet_core.evaluation.datasets.base import CATEGORIES, Category
from lgnet_core.evaluation.datasets.factory import DatasetConfig, open_images
from lgnet_core.evaluation.datasets.synthetic import category_of_interaction, category_of_labels
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.scene.interactions import SceneKind
from lgnet_core.synthetic.stored import write_shards


@pytest.fixture(scope="module")
def stored(hand_model, tmp_path_factory) -> Path:
    return write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(4, hand_model), 10, 96, progress=False)


def test_categories_of_scenes():
    categories = {kind.name: CATEGORIES[category_of_interaction(torch.tensor(int(kind)))] for kind in SceneKind}
    expected = dict.fromkeys(("PALM_TO_PALM", "CROSSED", "INTERLACED", "HOLDING", "FREE"), Category.INTERACTING)
    expected |= {"SEPARATE": Category.SEPARATE, "NONE": Category.NONE}
    expected |= dict.fromkeys(("SINGLE_RIGHT", "SINGLE_LEFT"), Category.SINGLE)
    assert categories == expected


def test_categories_of_labels(hand_model):
    """By the present hands; a pair is separate if the gap between its boxes is large."""
    batch = SyntheticHands(6, hand_model).crops(torch.arange(4), 64)
    presence = torch.tensor([[True, True], [True, True], [False, True], [False, False]])
    wrist = torch.tensor([[-0.4, 0.0, 0.8], [0.4, 0.0, 0.8]]).repeat(4, 1, 1)
    wrist[1] = torch.tensor([[0.0, 0.0, 0.8], [0.01, 0.0, 0.8]])
    categories = category_of_labels(batch.replace(presence=presence, wrist=wrist), hand_model)
    assert [CATEGORIES[k] for k in categories] == [
        Category.SEPARATE, Category.INTERACTING, Category.SINGLE, Category.NONE,
    ]  # fmt: skip


def test_held_out_set(hand_model):
    images = open_images(DatasetConfig(), hand_model)
    assert len(images) == 2000
    assert images.metadata["digest"]
    batch, category, *_ = images.read(torch.arange(0, 2000, 100), 64)
    assert batch.image.shape == (20, 3, 64, 64)
    without_hands = category == CATEGORIES.index(Category.NONE)
    assert without_hands.any()
    assert not batch.presence[without_hands].any()
    assert batch.presence[category == CATEGORIES.index(Category.SINGLE)].sum(1).max() == 1


def test_stored_set_is_resized(hand_model, stored):
    images = open_images(DatasetConfig(str(stored)), hand_model)
    assert (len(images), images.metadata["seed"]) == (10, 4)
    indices = torch.tensor([7, 2])
    batch, category, *_ = images.read(indices, 64)
    assert batch.image.shape == (2, 3, 64, 64)
    truth = SyntheticHands(4, hand_model).crops(indices, 64)
    torch.testing.assert_close(batch.intrinsics, truth.intrinsics, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(category, category_of_labels(truth, hand_model))


def test_invalid_folder_is_rejected_with_a_hint(hand_model, tmp_path):
    with pytest.raises(ValueError, match="lgnet synth"):
        open_images(DatasetConfig(str(tmp_path)), hand_model)
