"""Properties of all backbones, and loading of pretrained weights."""

import pickle

import pytest
import torch
from torch.testing import assert_close

from lgnet_core.network.backbones.efficientnet import EfficientNetLite0
from lgnet_core.network.backbones.factory import load_pretrained
from lgnet_core.network.backbones.hand_landmark_encoder import HandLandmarkEncoder
from lgnet_core.network.backbones.resnet import ResNet50


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("backbone", "early", "deep"),
    [(ResNet50, 256, 2048), (EfficientNetLite0, 24, 1280), (HandLandmarkEncoder, 24, 1152)],
)
@pytest.mark.parametrize("size", [64, 96])
def test_maps_at_stride_4_and_32(backbone, early, deep, size):
    network = backbone().eval()
    with torch.no_grad():
        early_map, deep_map = network(torch.rand(2, 3, size, size))
    assert early_map.shape == (2, early, size // 4, size // 4)
    assert deep_map.shape == (2, deep, size // 32, size // 32)
    assert (network.early_channels, network.deep_channels) == (early, deep)


@pytest.mark.parametrize("backbone", [ResNet50, EfficientNetLite0, HandLandmarkEncoder])
def test_early_layers_are_those_of_the_stride_4_map(backbone):
    network = backbone()
    network(torch.rand(1, 3, 64, 64))[0].square().sum().backward()
    early = {id(p) for layer in network.early_layers() for p in layer.parameters()}
    assert {id(p) for p in network.parameters() if p.grad is not None} == early


@pytest.mark.parametrize("backbone", [ResNet50, EfficientNetLite0, HandLandmarkEncoder])
def test_maps_at_all_four_strides(backbone):
    network = backbone().eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        maps, (early, deep) = network.maps(image), network(image)
    assert [tuple(x.shape[-2:]) for x in maps] == [(16, 16), (8, 8), (4, 4), (2, 2)]
    widths = (network.early_channels, *network.middle_channels, network.deep_channels)
    assert tuple(x.shape[1] for x in maps) == widths
    assert torch.equal(maps[0], early)
    assert torch.equal(maps[3], deep)


@pytest.mark.parametrize("backbone", [EfficientNetLite0, HandLandmarkEncoder])
def test_pretrained_weights_of_extra_channels_are_zero(backbone):
    """With pretrained weights the extra map has no effect; with others it affects only the maps after stride 8."""
    plain, wider = backbone().eval(), backbone(12).eval()
    load_pretrained(plain)
    load_pretrained(wider)
    image, extra = torch.rand(1, 3, 64, 64), torch.randn(1, 12, 8, 8)
    with torch.no_grad():
        for a, b in zip(plain.maps(image), wider.maps(image, extra)):
            assert_close(a, b, atol=1e-4, rtol=1e-4)
        for name in wider.STRIDE8_CONSUMERS:
            wider.get_parameter(f"{name}.weight")[:, -12:] = 0.1
        changed = [not torch.equal(a, b) for a, b in zip(wider.maps(image, extra), wider.maps(image, 2 * extra))]
    assert changed == [False, False, True, True]


def test_resnet50_needs_a_weights_file():
    with pytest.raises(FileNotFoundError, match=r"FILE\.pth"):
        load_pretrained(ResNet50())


class Payload:
    def __reduce__(self):
        return (print, ("executed",))


def test_loading_weights_executes_no_code(tmp_path, capsys):
    torch.save({"conv1.weight": Payload()}, tmp_path / "evil.pth")
    with pytest.raises(pickle.UnpicklingError):
        load_pretrained(ResNet50(), tmp_path / "evil.pth")
    assert "executed" not in capsys.readouterr().out
