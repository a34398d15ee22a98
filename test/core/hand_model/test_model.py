"""The hand model of numpy arrays, compared with its torch module."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.bones import random_rotations

from lgnet_core.hand_model import HandLayer, HandModel, load_hand_model
from lgnet_core.types import Side


@pytest.mark.parametrize("side", [None, *Side])
def test_poses_are_those_of_the_layer(hand_model: HandLayer, side: Side | None):
    sides = (2,) if side is None else ()
    random = np.random.default_rng(0)
    rotations = random_rotations(1, 5, *sides, 16, spread=0.8).astype(np.float32)
    shape = random.standard_normal((5, *sides, 10)).astype(np.float32)
    translation = random.standard_normal((5, *sides, 3)).astype(np.float32)
    inputs = rotations, shape, translation
    mesh = load_hand_model().pose(*inputs, side=side)
    expected = hand_model(*map(torch.from_numpy, inputs), side=side)
    for actual, reference in zip(mesh, expected, strict=True):
        assert isinstance(actual, np.ndarray)
        np.testing.assert_allclose(actual, reference, atol=1e-6)


def test_both_have_the_same_arrays_and_identity(hand_model: HandLayer):
    model = load_hand_model()
    assert (model.name, model.digest, model.mirrored) == (hand_model.name, hand_model.digest, hand_model.mirrored)
    for name in HandModel.ARRAYS:
        np.testing.assert_array_equal(getattr(model, name), getattr(hand_model, name), err_msg=name)
    np.testing.assert_allclose(model.joints_from_vertices(model.v_template)[:, 0], model.rest_joints[:, 0], atol=1e-6)


def test_a_layer_is_made_of_a_model_once(hand_model: HandLayer):
    layer = HandLayer.of(load_hand_model())
    assert isinstance(layer, HandLayer)
    assert layer.digest == hand_model.digest
    assert HandLayer.of(layer) is layer
