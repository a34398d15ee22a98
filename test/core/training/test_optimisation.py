"""Parameter groups and learning rates."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lgnet_core.network.detector.hand_landmark import HandLandmarkNet
from lgnet_core.training.optimisation import LANDMARKER_LR_SCALE, Optimisation, set_learning_rate


def test_blocks_are_unfrozen_one_after_the_other():
    """The stages learn from the first step; block k of the landmark network from step k * thaw_steps."""
    stages, blocks = nn.Linear(2, 2), [nn.Linear(2, 2) for _ in range(3)]
    parameters = [p for module in (stages, *blocks) for p in module.parameters()]
    optimiser = Optimisation(thaw_steps=10, learning_rate=0.5, weight_decay=0.1).build(
        parameters, [list(block.parameters()) for block in blocks]
    )
    trained = {}
    for step in (0, 9, 10, 20):
        before = [p.detach().clone() for p in parameters]
        for p in parameters:
            p.grad = torch.ones_like(p)
        set_learning_rate(optimiser, 0.5, step)
        optimiser.step()
        moved = [not torch.equal(p, old) for p, old in zip(parameters, before)]
        trained[step] = [moved[k] for k in range(0, 8, 2)]
        assert moved[::2] == moved[1::2], "weights and biases of a block together"
    assert trained == {
        0: [True, True, False, False],
        9: [True, True, False, False],
        10: [True, True, True, False],
        20: [True, True, True, True],
    }


def test_landmark_network_has_the_reduced_rate():
    stages, block = nn.Linear(2, 2), nn.Linear(2, 2)
    optimiser = Optimisation().build([*stages.parameters(), *block.parameters()], [list(block.parameters())])
    set_learning_rate(optimiser, 0.5, 0)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert all(rates[id(p)] == 0.5 for p in stages.parameters())
    assert all(rates[id(p)] == pytest.approx(0.5 * LANDMARKER_LR_SCALE) for p in block.parameters())


def test_unfreezing_order_has_every_layer_once_from_the_outputs_to_the_input():
    network = HandLandmarkNet("lite")
    order = network.unfreezing_order()
    parameters = [id(p) for block in order for p in block.parameters()]
    assert sorted(parameters) == sorted(id(p) for p in network.parameters())
    assert {id(p) for p in network.encoder.stem.parameters()} <= {id(p) for p in order[-1].parameters()}
    assert {id(p) for p in network.landmarks.parameters()} <= {id(p) for p in order[0].parameters()}


def test_negative_thaw_steps_are_refused():
    with pytest.raises(ValueError, match="thaw_steps -1"):
        Optimisation(thaw_steps=-1)
