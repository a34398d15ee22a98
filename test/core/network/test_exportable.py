"""What networks say of their inputs and outputs, held to what they do."""

import pytest
import torch
from support.small_network import small_network
from support.tiny_network import TinyNetwork

from lgnet_core.network import build_network
from lgnet_core.network.detector.palm_detector import PalmDetector
from lgnet_core.network.exportable import ExportableModule, input_shapes


@pytest.fixture(params=["tiny", "hands", "palms", "landmarks", "stages"])
def network(request, hand_model) -> ExportableModule:
    makers = {
        "tiny": TinyNetwork,
        "hands": lambda: small_network(hand_model),
        "palms": PalmDetector,
        "landmarks": lambda: build_network("lgnet-hand", hand_model).engine_parts()["landmarks"],
        "stages": lambda: build_network("lgnet-hand", hand_model).engine_parts()["stages"],
    }
    return makers[request.param]().eval()


def test_it_runs_on_its_example_and_returns_what_it_says(network):
    inputs = network.example_inputs()
    assert len(inputs) == len(network.INPUTS)
    with torch.inference_mode():
        outputs = network(*inputs)
    assert type(outputs) is network.OUTPUTS
    for name, value in outputs._asdict().items():
        assert (value.dtype, len(value)) == (torch.float32, 2), name
    for value in inputs:
        assert (value.dtype, len(value), value.device.type) == (torch.float32, 2, "cpu")


def test_a_name_is_an_input_or_an_output(network):
    """In a file it cannot be both."""
    assert len({*network.INPUTS, *network.OUTPUTS._fields}) == len(network.INPUTS) + len(network.OUTPUTS._fields)


def test_shapes_are_without_the_batch():
    network = TinyNetwork()
    assert input_shapes(network, network.example_inputs()) == {"image": (3, 8, 8), "scale": (2,), "unused": ()}


def test_a_missing_input_is_named():
    network = TinyNetwork()
    with pytest.raises(ValueError, match=r"TinyNetwork takes 3 inputs \(image, scale, unused\), got 2"):
        input_shapes(network, network.example_inputs()[:2])
