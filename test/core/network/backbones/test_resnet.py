"""ResNet-50: torchvision's parameter names and weights, extra input channels, normalisation."""

import pytest
import torch
import torch.nn.functional as F
from support.parameters import parameter_count
from torch.testing import assert_close

from lgnet_core.network.backbones.factory import load_pretrained
from lgnet_core.network.backbones.resnet import ResNet50


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def torchvision_resnet50_names():
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = ["conv1.weight", *(f"bn1.{n}" for n in norm)]
    for layer, count in enumerate((3, 4, 6, 3), 1):
        for block in range(count):
            prefix = f"layer{layer}.{block}"
            for k in (1, 2, 3):
                names += [f"{prefix}.conv{k}.weight", *(f"{prefix}.bn{k}.{n}" for n in norm)]
            if block == 0:
                names += [f"{prefix}.downsample.0.weight", *(f"{prefix}.downsample.1.{n}" for n in norm)]
    return names


def test_parameters_match_torchvision():
    network = ResNet50()
    state = network.state_dict()
    assert list(state) == torchvision_resnet50_names()
    assert len(state) == 318  # torchvision's 320 less fc.weight and fc.bias
    assert parameter_count(network) == 23_508_032  # 25,557,032 less the classifier's 2,049,000
    shapes = {
        "conv1.weight": (64, 3, 7, 7),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer2.0.conv2.weight": (128, 128, 3, 3),
        "layer3.5.conv3.weight": (1024, 256, 1, 1),
        "layer4.2.conv1.weight": (512, 2048, 1, 1),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes


def test_torchvision_file_is_loaded_strictly(tmp_path):
    state = {name: torch.rand_like(value.float()).to(value.dtype) for name, value in ResNet50().state_dict().items()}
    classifier = {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    torch.save(state | classifier, tmp_path / "resnet50.pth")
    network = ResNet50()
    load_pretrained(network, tmp_path / "resnet50.pth")
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    del state["layer3.2.bn1.bias"]
    torch.save(state, tmp_path / "incomplete.pth")
    with pytest.raises(RuntimeError, match=r"layer3\.2\.bn1\.bias"):
        load_pretrained(network, tmp_path / "incomplete.pth")


def test_extra_channels_enter_the_main_path_and_the_shortcut():
    """A convolution of concatenated maps is the sum of separate convolutions."""
    network = ResNet50(12).eval()
    x, extra = torch.randn(1, 512, 8, 8), torch.randn(1, 12, 8, 8)
    first = network.layer3[0]
    for conv in (first.conv1, first.downsample[0]):
        own, additional = conv.weight.split((512, 12), 1)
        expected = F.conv2d(x, own, stride=conv.stride) + F.conv2d(extra, additional, stride=conv.stride)
        assert_close(conv(torch.cat([x, extra], 1)), expected, atol=1e-4, rtol=1e-4)


def test_input_is_normalised():
    network = ResNet50().eval()
    grey = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    captured = {}
    network.conv1.register_forward_pre_hook(lambda module, args: captured.update(x=args[0]))
    network(grey)
    assert_close(captured["x"], torch.zeros(1, 3, 64, 64))
