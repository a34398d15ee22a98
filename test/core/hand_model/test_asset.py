"""Hand assets: reading, validation, writing, mirroring and hashing."""

import dataclasses
import pickle

import numpy as np
import pytest

from lgnet_core.hand_model import HandModelError, read_asset
from lgnet_core.hand_model.asset import BUNDLED_ASSET, MANO_TIP_VERTICES, asset_from_arrays, read_hand_assets


@pytest.fixture(scope="module")
def asset():
    return read_asset(BUNDLED_ASSET)


@pytest.fixture
def arrays(asset, tmp_path):
    """Arrays of the bundled hand as stored in a file, to be modified."""
    asset.write(tmp_path / "complete.npz")
    with np.load(tmp_path / "complete.npz", allow_pickle=False) as archive:
        return dict(archive)


def arrays_of(asset):
    return {key: value for key, value in dataclasses.asdict(asset).items() if key != "name"}


def test_write_read_round_trip(asset, tmp_path):
    asset.write(tmp_path / "hand.npz")
    back = read_asset(tmp_path / "hand.npz")
    for key, value in arrays_of(asset).items():
        assert np.array_equal(getattr(back, key), value), key
    assert (back.name, back.digest) == (asset.name, asset.digest)
    asset.write(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "hand.npz").read_bytes()


def test_mirroring_twice_is_the_identity(asset):
    back = asset.mirrored().mirrored()
    for key, value in arrays_of(asset).items():
        assert np.array_equal(getattr(back, key), value), key
    assert asset.mirrored().digest != asset.digest == back.digest


def test_digest_covers_only_arrays_used_by_the_layer(asset):
    assert dataclasses.replace(asset, name="other").digest == asset.digest
    assert dataclasses.replace(asset, hands_components=2 * asset.hands_components).digest == asset.digest
    moved = asset.v_template.copy()
    moved[0, 0] = np.nextafter(moved[0, 0], np.float32(1))
    assert dataclasses.replace(asset, v_template=moved).digest != asset.digest


def test_defaults_of_optional_entries(arrays):
    del arrays["name"], arrays["tip_vertices"]
    asset = asset_from_arrays(arrays, "somewhere/hand.npz")
    assert asset.name == "hand"
    assert tuple(asset.tip_vertices) == MANO_TIP_VERTICES
    arrays["tip_vertices"] = np.array([1, 2, 3, 4, 5], np.uint16)
    assert asset_from_arrays(arrays, "x").tip_vertices.tolist() == [1, 2, 3, 4, 5]


def test_extra_shape_components_are_dropped_and_inward_faces_flipped(arrays, asset):
    arrays["shapedirs"] = np.concatenate([arrays["shapedirs"], np.ones((778, 3, 2))], -1)
    arrays["f"] = arrays["f"][:, ::-1]
    converted = asset_from_arrays(arrays, "x")
    assert converted.digest == asset.digest


def test_fewer_pose_components_are_accepted(arrays):
    arrays["hands_components"] = arrays["hands_components"][:6]
    assert asset_from_arrays(arrays, "x").hands_components.shape == (6, 45)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("posedirs", None, "missing array posedirs"),
        ("v_template", lambda a: np.zeros((6890, 3)), r"v_template has shape \(6890, 3\), not \(778, 3\)"),
        ("v_template", lambda a: 1000 * a, "not a hand in metres"),
        ("shapedirs", lambda a: a * np.nan, "shapedirs holds NaN"),
        ("weights", lambda a: a[:, ::2], "weights has shape"),
        ("weights", lambda a: 2 * a, "rows of weights do not sum to 1"),
        ("J_regressor", lambda a: 0 * a, "rows of J_regressor do not sum to 1"),
        ("f", lambda a: a + 5, "f refers to vertex 782"),
        ("kintree_table", lambda a: a[:, ::-1], "kintree_table has parents"),
        ("hands_mean", lambda a: np.array(["x"] * 45), "hands_mean holds <U1, not numbers"),
        ("tip_vertices", lambda a: np.array([1, 1, 2, 3, 4]), "five different vertex indices"),
        ("tip_vertices", lambda a: np.array([1, 2, 3, 4, 778]), "tip_vertices refers to vertex 778"),
    ],
)
def test_invalid_array_is_named_in_the_error(arrays, tmp_path, key, change, message):
    invalid = {name: array for name, array in arrays.items() if name != key}
    if change is not None:
        invalid[key] = change(arrays[key])
    np.savez(tmp_path / "invalid.npz", **invalid)
    with pytest.raises(HandModelError, match=rf"invalid\.npz: .*{message}"):
        read_asset(tmp_path / "invalid.npz")


def test_files_other_than_npz_are_rejected(arrays, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_asset(tmp_path / "missing.npz")
    contents = {
        "empty.npz": b"",
        "text.npz": b"<html>",
        "pickle.npz": pickle.dumps({"v_template": [1]}),
        "truncated.npz": (tmp_path / "complete.npz").read_bytes()[:50_000],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(HandModelError, match=f"{name}: not a readable npz"):
            read_asset(tmp_path / name)
    np.save(tmp_path / "single.npy", arrays["f"])
    with pytest.raises(HandModelError, match=r"not a readable npz \(a single array"):
        read_asset(tmp_path / "single.npy")


def test_pickled_objects_in_an_npz_are_not_loaded(arrays, tmp_path):
    marker = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return marker.touch, ()

    arrays["hands_mean"] = np.array([Trap()] * 45, dtype=object)
    np.savez(tmp_path / "trap.npz", **arrays)
    with pytest.raises(HandModelError, match="not a readable npz"):
        read_asset(tmp_path / "trap.npz")
    assert not marker.exists()


def test_bundled_hand_and_directory_of_both_hands(asset, tmp_path):
    assert [hand.digest for hand in read_hand_assets()] == [asset.digest]
    asset.write(tmp_path / "hand_right.npz")
    asset.mirrored().write(tmp_path / "hand_left.npz")
    assert [hand.digest for hand in read_hand_assets(tmp_path)] == [asset.digest, asset.mirrored().digest]
    with pytest.raises(FileNotFoundError, match="no such directory"):
        read_hand_assets(tmp_path / "nowhere")
