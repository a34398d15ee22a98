"""Declared inputs and outputs of exportable modules."""

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


def test_example_inputs_give_the_declared_outputs(network):
    inputs = network.example_inputs()
    assert len(inputs) == len(network.INPUTS)
    with torch.inference_mode():
        outputs = network(*inputs)
    assert type(outputs) is network.OUTPUTS
    for name, value in outputs._asdict().items():
        assert (value.dtype, len(value)) == (torch.float32, 2), name
    for value in inputs:
        assert (value.dtype, len(value), value.device.type) == (torch.float32, 2, "cpu")


def test_input_and_output_names_are_disjoint(network):
    """ONNX requires unique names."""
    assert len({*network.INPUTS, *network.OUTPUTS._fields}) == len(network.INPUTS) + len(network.OUTPUTS._fields)


def test_input_shapes_exclude_the_batch():
    network = TinyNetwork()
    assert input_shapes(network, network.example_inputs()) == {"image": (3, 8, 8), "scale": (2,), "unused": ()}


def test_missing_input_raises():
    network = TinyNetwork()
    with pytest.raises(ValueError, match=r"TinyNetwork takes 3 inputs \(image, scale, unused\), got 2"):
        input_shapes(network, network.example_inputs()[:2])
