"""Reading, checking, writing, mirroring and hashing one hand's arrays."""

import dataclasses
import pickle

import numpy as np
import pytest

from lgnet_core.hand_model import HandModelError, read_asset
from lgnet_core.hand_model.asset import MANO_TIP_VERTICES, asset_from_arrays
from lgnet_core.hand_model.layer import BUNDLED_ASSET


@pytest.fixture(scope="module")
def asset():
    return read_asset(BUNDLED_ASSET)


@pytest.fixture
def arrays(asset, tmp_path):
    """The bundled hand's arrays as a file holds them, free to be spoilt."""
    asset.write(tmp_path / "whole.npz")
    with np.load(tmp_path / "whole.npz", allow_pickle=False) as archive:
        return dict(archive)


def arrays_of(asset):
    return {key: value for key, value in dataclasses.asdict(asset).items() if key != "name"}


def test_write_and_read_are_inverse(asset, tmp_path):
    asset.write(tmp_path / "hand.npz")
    back = read_asset(tmp_path / "hand.npz")
    for key, value in arrays_of(asset).items():
        assert np.array_equal(getattr(back, key), value), key
    assert (back.name, back.digest) == (asset.name, asset.digest)
    asset.write(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "hand.npz").read_bytes()


def test_mirror_is_its_own_inverse_and_another_hand(asset):
    back = asset.mirrored().mirrored()
    for key, value in arrays_of(asset).items():
        assert np.array_equal(getattr(back, key), value), key
    assert asset.mirrored().digest != asset.digest == back.digest


def test_digest_depends_on_what_the_layer_uses_only(asset):
    assert dataclasses.replace(asset, name="other").digest == asset.digest
    assert dataclasses.replace(asset, hands_components=2 * asset.hands_components).digest == asset.digest
    moved = asset.v_template.copy()
    moved[0, 0] = np.nextafter(moved[0, 0], np.float32(1))
    assert dataclasses.replace(asset, v_template=moved).digest != asset.digest


def test_optional_entries(arrays):
    del arrays["name"], arrays["tip_vertices"]
    asset = asset_from_arrays(arrays, "somewhere/hand.npz")
    assert asset.name == "hand"
    assert tuple(asset.tip_vertices) == MANO_TIP_VERTICES
    arrays["tip_vertices"] = np.array([1, 2, 3, 4, 5], np.uint16)
    assert asset_from_arrays(arrays, "x").tip_vertices.tolist() == [1, 2, 3, 4, 5]


def test_more_shape_components_and_inward_faces_are_put_right(arrays, asset):
    arrays["shapedirs"] = np.concatenate([arrays["shapedirs"], np.ones((778, 3, 2))], -1)
    arrays["f"] = arrays["f"][:, ::-1]
    taken = asset_from_arrays(arrays, "x")
    assert taken.digest == asset.digest


def test_fewer_pose_components_are_kept(arrays):
    arrays["hands_components"] = arrays["hands_components"][:6]
    assert asset_from_arrays(arrays, "x").hands_components.shape == (6, 45)


@pytest.mark.parametrize(
    ("key", "spoil", "message"),
    [
        ("posedirs", None, "no array posedirs"),
        ("v_template", lambda a: np.zeros((6890, 3)), r"v_template has shape \(6890, 3\), not \(778, 3\)"),
        ("v_template", lambda a: 1000 * a, "no hand in metres"),
        ("shapedirs", lambda a: a * np.nan, "shapedirs holds NaN"),
        ("weights", lambda a: a[:, ::2], "weights has shape"),
        ("weights", lambda a: 2 * a, "rows of weights do not sum to 1"),
        ("J_regressor", lambda a: 0 * a, "rows of J_regressor do not sum to 1"),
        ("f", lambda a: a + 5, "f points at vertex 782"),
        ("kintree_table", lambda a: a[:, ::-1], "kintree_table has parents"),
        ("hands_mean", lambda a: np.array(["x"] * 45), "hands_mean holds <U1, not numbers"),
        ("tip_vertices", lambda a: np.array([1, 1, 2, 3, 4]), "five different vertex indices"),
        ("tip_vertices", lambda a: np.array([1, 2, 3, 4, 778]), "tip_vertices points at vertex 778"),
    ],
)
def test_a_wrong_array_is_named(arrays, tmp_path, key, spoil, message):
    spoilt = {name: array for name, array in arrays.items() if name != key}
    if spoil is not None:
        spoilt[key] = spoil(arrays[key])
    np.savez(tmp_path / "spoilt.npz", **spoilt)
    with pytest.raises(HandModelError, match=rf"spoilt\.npz: .*{message}"):
        read_asset(tmp_path / "spoilt.npz")


def test_files_that_are_no_npz(arrays, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_asset(tmp_path / "missing.npz")
    contents = {
        "empty.npz": b"",
        "text.npz": b"<html>",
        "pickle.npz": pickle.dumps({"v_template": [1]}),
        "half.npz": (tmp_path / "whole.npz").read_bytes()[:50_000],
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
