"""Conversion of forged MANO pickles: the fault of the left hand, swapped sides, and invalid files."""

import dataclasses

import numpy as np
import pytest
import torch
from support.forged_mano import curled, write_mano

from lgnet_core.hand_model import HandModelError, convert_mano, load_hand_layer, read_asset
from lgnet_core.hand_model.asset import BUNDLED_ASSET
from lgnet_core.hand_model.mano import hand_side
from lgnet_core.types import Side


@pytest.fixture(scope="module")
def right():
    """A right hand with MANO's own tips and a curled mean pose."""
    return curled(read_asset(BUNDLED_ASSET))


@pytest.fixture
def pickles(right, tmp_path):
    """Function that writes MANO_RIGHT.pkl and MANO_LEFT.pkl, by default a faulty left hand."""

    def write(right_hand=right, left_hand=None, **changes):
        return write_mano(tmp_path, right_hand, left_hand, **changes)

    return write


def test_converted_hands_match_the_pickles(right, pickles, tmp_path):
    """The left hand is corrected, and the correction is reported."""
    conversion = convert_mano(*pickles(), tmp_path / "new" / "mano")
    assert conversion.left_shapedirs_corrected
    assert "wrong sign on the first coordinate" in " ".join(conversion.messages)
    assert sorted(path.name for path in (tmp_path / "new" / "mano").iterdir()) == ["hand_left.npz", "hand_right.npz"]
    for path, expected in ((conversion.right, right), (conversion.left, right.mirrored())):
        hand = read_asset(path)
        assert hand.name == "MANO"
        for key in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "faces", "hands_mean"):
            np.testing.assert_allclose(getattr(hand, key), getattr(expected, key), atol=1e-9, err_msg=key)


def test_converted_left_hand_is_the_mirror_image_for_any_shape(pickles, tmp_path):
    """Holds only with corrected shape directions."""
    model = load_hand_layer(convert_mano(*pickles(), tmp_path).right.parent)
    shape = torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
    identity = torch.eye(3).expand(3, 16, 3, 3)
    right, left = (model(identity, shape, side=side).vertices for side in Side)
    torch.testing.assert_close(left * torch.tensor([-1.0, 1.0, 1.0]), right, atol=1e-6, rtol=0)
    assert model.name == "MANO"
    assert model.tip_vertices.tolist() == [745, 317, 444, 556, 673]


def test_correct_left_hand_is_unchanged(right, pickles, tmp_path):
    conversion = convert_mano(*pickles(left_hand=right.mirrored()), tmp_path)
    assert not conversion.left_shapedirs_corrected
    assert "nothing to do" in " ".join(conversion.messages)
    np.testing.assert_array_equal(read_asset(conversion.left).shapedirs, right.mirrored().shapedirs)


def test_side_is_detected_in_any_axes(right):
    rotation = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], np.float32)
    rotated = dataclasses.replace(
        right,
        v_template=right.v_template @ rotation.T,
        hands_mean=(right.hands_mean.reshape(15, 3) @ rotation.T).reshape(-1),
    )
    assert hand_side(right) is hand_side(rotated) is Side.RIGHT
    assert hand_side(right.mirrored()) is hand_side(rotated.mirrored()) is Side.LEFT
    assert hand_side(dataclasses.replace(right, hands_mean=np.zeros(45, np.float32))) is None


def test_swapped_sides_are_rejected(pickles, tmp_path):
    right_path, left_path = pickles()
    with pytest.raises(HandModelError, match=r"MANO_LEFT\.pkl: this is a left hand, passed as the right one"):
        convert_mano(left_path, right_path, tmp_path / "out")
    with pytest.raises(HandModelError, match=r"MANO_RIGHT\.pkl: this is a right hand, passed as the left one"):
        convert_mano(right_path, right_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"v_template": np.zeros((6890, 3))}, r"v_template has shape \(6890, 3\), not \(778, 3\)"),
        ({"posedirs": np.zeros((778, 3, 207))}, r"posedirs has shape \(778, 3, 207\)"),
        ({"weights": None}, "missing array weights"),
        ({"hands_mean": "zero"}, "hands_mean holds <U4, not numbers"),
    ],
)
def test_pickles_of_other_models_are_rejected(pickles, tmp_path, changes, message):
    with pytest.raises(HandModelError, match=rf"MANO_RIGHT\.pkl: {message}"):
        convert_mano(*pickles(**changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_without_the_left_hand(pickles, tmp_path):
    right_path, left_path = pickles()
    left_path.unlink()
    with pytest.raises(FileNotFoundError, match=r"MANO_LEFT\.pkl: no such file"):
        convert_mano(right_path, left_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
