"""Checkpoints: round trip, averaging, half precision and error messages."""

import json
import pickle
import struct
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from lgnet_core.hand_model import HandModel, read_asset
from lgnet_core.hand_model.asset import BUNDLED_ASSET
from lgnet_core.io import checkpoint_files
from lgnet_core.io.checkpoint_files import CheckpointError, read_metadata, weights_digest
from lgnet_core.network import PRESETS, HandLGNetConfig, build_network
from lgnet_core.network.checkpoint import load_averaged_network, load_network, save_network

CONFIG = replace(PRESETS["lgnet-mini"], channels=32, self_joint_depth=1)


@pytest.fixture(scope="module")
def network(hand_model):
    torch.manual_seed(0)
    return build_network(CONFIG, hand_model).eval()


@pytest.fixture
def saved(network, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_network(path, network, {"preset": "tiny", "steps": 7, "figures": {"mpvpe_mm": 12.5}})
    return path


def rewritten(path, tensors=None, **header):
    """The same file with other tensors or header entries."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        metadata = json.loads(json.loads(file.read(length))["__metadata__"]["lgnet"])
    save_file(load_file(path) if tensors is None else tensors, path, {"lgnet": json.dumps(metadata | header)})
    return path


def test_round_trip(network, hand_model, saved):
    """Weights, buffers, output and metadata are restored."""
    loaded, metadata = load_network(saved, hand_model)
    assert loaded.config == CONFIG
    assert not loaded.training
    assert metadata["steps"] == 7
    assert metadata["figures"] == {"mpvpe_mm": 12.5}
    assert metadata["hand_model"] == {"name": hand_model.name, "digest": hand_model.digest}
    assert metadata == read_metadata(saved)
    torch.testing.assert_close(loaded.state_dict(), network.state_dict(), rtol=0, atol=0)
    image, intrinsics = torch.rand(1, 3, 64, 64), torch.tensor([[[128.0, 0, 32], [0, 128, 32], [0, 0, 1]]])
    with torch.no_grad():
        torch.testing.assert_close(loaded(image, intrinsics), network(image, intrinsics), rtol=0, atol=0)


def test_hand_model_is_not_saved(saved):
    assert not [name for name in load_file(saved) if "hand_model" in name or "v_template" in name]


def test_averaging_several_trainings(network, hand_model, saved, tmp_path):
    """Each parameter is averaged over the files that contain it; the metadata list the sources."""
    torch.manual_seed(1)
    plain = replace(CONFIG, refine_stage=False)
    others = {
        tmp_path / f"{k}.safetensors": build_network(config, hand_model) for k, config in enumerate((CONFIG, plain))
    }
    for path, other in others.items():
        save_network(path, other, {"steps": 9})
    average, metadata = load_averaged_network([saved, *others], hand_model)
    assert average.config == CONFIG
    assert [part["steps"] for part in metadata["mean of"]] == [7, 9, 9]
    base, first, second = network.state_dict(), *(other.state_dict() for other in others.values())
    for name, value in average.state_dict().items():
        values = [state[name].double() for state in (base, first, second) if name in state]
        torch.testing.assert_close(value, (sum(values) / len(values)).to(value.dtype), msg=name)
    assert 0 < len(base.keys() - second.keys()) < len(base)

    single, metadata = load_averaged_network([saved], hand_model)
    torch.testing.assert_close(single.state_dict(), base, rtol=0, atol=0)
    assert "mean of" not in metadata


def test_averaging_different_networks_raises(hand_model, saved, tmp_path):
    small, wide = tmp_path / "small.safetensors", tmp_path / "wide.safetensors"
    save_network(small, build_network(replace(CONFIG, refine_stage=False), hand_model), {})
    save_network(wide, build_network(replace(CONFIG, channels=48), hand_model), {})
    for first, other in ((small, saved), (saved, wide)):
        message = rf"{other.name}: \S+ differs from \S+{first.name}: only equal networks can be averaged"
        with pytest.raises(CheckpointError, match=message):
            load_averaged_network([first, other], hand_model)


def test_half_precision_halves_matrices_and_keeps_vectors(network, hand_model, tmp_path):
    save_network(tmp_path / "half.safetensors", network, {}, half=True)
    save_network(tmp_path / "full.safetensors", network, {})
    half = load_file(tmp_path / "half.safetensors")
    full = network.state_dict()
    assert all(t.dtype == (torch.float16 if t.ndim > 1 else full[n].dtype) for n, t in half.items())
    assert (tmp_path / "half.safetensors").stat().st_size < 0.55 * (tmp_path / "full.safetensors").stat().st_size
    loaded, _ = load_network(tmp_path / "half.safetensors", hand_model)
    torch.testing.assert_close(loaded.state_dict(), full, rtol=1e-3, atol=1e-6)  # and the same dtypes


def test_saving_values_out_of_range_raises(hand_model, tmp_path):
    network = build_network(CONFIG, hand_model)
    with torch.no_grad():
        network.presence[0].weight[0, 0] = 1e6
    with pytest.raises(CheckpointError, match=r"presence.*half=False"):
        save_network(tmp_path / "w.safetensors", network, {}, half=True)
    with torch.no_grad():
        network.presence[0].weight[0, 0] = torch.nan
    with pytest.raises(CheckpointError, match="diverged"):
        save_network(tmp_path / "w.safetensors", network, {})
    assert not list(tmp_path.iterdir())


def test_mismatched_parameters_are_listed(hand_model, saved):
    tensors = load_file(saved)
    tensors["presence.9.weight"] = tensors.pop("presence.0.weight")
    tensors["presence.1.weight"] = torch.zeros(3, 3)
    rewritten(saved, tensors)
    with pytest.raises(CheckpointError) as error:
        load_network(saved, hand_model)
    message = str(error.value)
    assert "1 missing: presence.0.weight" in message
    assert "1 unexpected: presence.9.weight" in message
    assert "presence.1.weight (3, 3) instead of (1, 40)" in message
    assert "export it again" in message


def test_nan_weights_raise(hand_model, saved):
    tensors = load_file(saved)
    tensors["presence.0.bias"][:] = torch.nan
    with pytest.raises(CheckpointError, match=r"not finite: presence\.0\.bias"):
        load_network(rewritten(saved, tensors), hand_model)


def test_wrong_hand_model_raises(saved):
    right = read_asset(BUNDLED_ASSET)
    other = HandModel(replace(right, v_template=right.v_template * 1.1, name="big hand"))
    with pytest.raises(CheckpointError, match=r"trained with the hand model.*'big hand'.*--hand-model"):
        load_network(saved, other)


def test_config_fields_of_another_version_are_listed(hand_model, saved):
    rewritten(saved, config={"channels": 32, "colour": "red"}, version="9.9")
    with pytest.raises(CheckpointError, match=r"backbone.*colour.*9\.9"):
        load_network(saved, hand_model)


@pytest.mark.parametrize(
    ("settings", "message"), [({"backbone": "vgg"}, "vgg"), ({"channels": "many"}, "invalid network configuration")]
)
def test_invalid_config_raises(hand_model, saved, settings, message):
    config = read_metadata(saved)["config"] | settings
    with pytest.raises(CheckpointError, match=message):
        load_network(rewritten(saved, config=config), hand_model)


@pytest.mark.parametrize("keep", [0, 4, 100, -10])
def test_truncated_file_raises(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        load_network(saved)


def test_foreign_safetensors_file_raises(tmp_path):
    path = tmp_path / "other.safetensors"
    for header in (None, {"format": "pt"}, {"lgnet": "{"}, {"lgnet": "[]"}, {"lgnet": "{}"}):
        save_file({"x": torch.zeros(2)}, path, header)
        with pytest.raises(CheckpointError, match="not a checkpoint of this project"):
            load_network(path)


class _Evil:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize("name", ["weights.pth", "weights.ckpt", "weights.safetensors"])
def test_pickles_are_never_opened(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(_Evil()))
    with pytest.raises(CheckpointError, match=r"safetensors"):
        load_network(path)


def test_missing_file_raises(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no such weights file"):
        load_network(tmp_path / "none.safetensors")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        load_network(tmp_path)
    monkeypatch.setattr(checkpoint_files, "BUNDLED_WEIGHTS", tmp_path / "lgnet-mini.safetensors")
    with pytest.raises(FileNotFoundError, match="bundled weights are not installed"):
        load_network()


def test_digest_is_the_sha256_of_the_file(saved):
    import hashlib

    assert weights_digest(saved) == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert weights_digest(saved) != weights_digest(rewritten(saved, steps=8))


def test_former_switch_of_the_interaction(hand_model, tmp_path):
    """``lgblock``, as in the bundled weights of before."""
    config = HandLGNetConfig(channels=16, self_joint_depth=1, hidden_channels=32, regressor_depth=1, interaction="none")
    path = tmp_path / "w.safetensors"
    save_network(path, build_network(config, hand_model), {})
    stored = read_metadata(path)["config"]
    del stored["interaction"]
    rewritten(path, config={**stored, "lgblock": False})
    assert load_network(path, hand_model)[0].config == config
