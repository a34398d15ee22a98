"""Forged MANO pickles to a hand model: the left hand's fault, mixed-up sides, and files that are no hand."""

import dataclasses

import numpy as np
import pytest
import torch
from support.forged_mano import curled, write_mano

from lgnet_core.hand_model import HandModelError, convert_mano, load_hand_model, read_asset
from lgnet_core.hand_model.layer import BUNDLED_ASSET
from lgnet_core.hand_model.mano import hand_side
from lgnet_core.types import Side


@pytest.fixture(scope="module")
def right():
    """A right hand with MANO's own tips and a curled mean pose."""
    return curled(read_asset(BUNDLED_ASSET))


@pytest.fixture
def pickles(right, tmp_path):
    """Writes MANO_RIGHT.pkl and MANO_LEFT.pkl, the left with its fault."""

    def write(right_hand=right, left_hand=None, **changes):
        return write_mano(tmp_path, right_hand, left_hand, **changes)

    return write


def test_converted_hands_are_the_ones_in_the_pickles(right, pickles, tmp_path):
    """Both hands come out as they were made, the left with its fault corrected and said."""
    done = convert_mano(*pickles(), tmp_path / "new" / "mano")
    assert done.left_shapedirs_corrected
    assert "wrong sign on the first coordinate" in " ".join(done.messages)
    assert sorted(path.name for path in (tmp_path / "new" / "mano").iterdir()) == ["hand_left.npz", "hand_right.npz"]
    for path, expected in ((done.right, right), (done.left, right.mirrored())):
        hand = read_asset(path)
        assert hand.name == "MANO"
        for key in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "faces", "hands_mean"):
            np.testing.assert_allclose(getattr(hand, key), getattr(expected, key), atol=1e-9, err_msg=key)


def test_the_converted_model_obeys_the_mirror_law_with_any_shape(pickles, tmp_path):
    """Only with the corrected shape directions is a shaped left hand the mirror image of the right one."""
    model = load_hand_model(convert_mano(*pickles(), tmp_path).right.parent)
    shape = torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
    identity = torch.eye(3).expand(3, 16, 3, 3)
    right, left = (model(identity, shape, side=side).vertices for side in Side)
    torch.testing.assert_close(left * torch.tensor([-1.0, 1.0, 1.0]), right, atol=1e-6, rtol=0)
    assert model.name == "MANO"
    assert model.tip_vertices.tolist() == [745, 317, 444, 556, 673]


def test_a_sound_left_hand_is_left_alone(right, pickles, tmp_path):
    done = convert_mano(*pickles(left_hand=right.mirrored()), tmp_path)
    assert not done.left_shapedirs_corrected
    assert "nothing to correct" in " ".join(done.messages)
    np.testing.assert_array_equal(read_asset(done.left).shapedirs, right.mirrored().shapedirs)


def test_sides_are_told_apart_in_any_axes(right):
    turn = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], np.float32)  # a proper rotation
    turned = dataclasses.replace(
        right, v_template=right.v_template @ turn.T, hands_mean=(right.hands_mean.reshape(15, 3) @ turn.T).reshape(-1)
    )
    assert hand_side(right) is hand_side(turned) is Side.RIGHT
    assert hand_side(right.mirrored()) is hand_side(turned.mirrored()) is Side.LEFT
    assert hand_side(dataclasses.replace(right, hands_mean=np.zeros(45, np.float32))) is None


def test_mixed_up_sides_are_refused(pickles, tmp_path):
    right_path, left_path = pickles()
    with pytest.raises(HandModelError, match=r"MANO_LEFT\.pkl: this is a left hand, given as the right one"):
        convert_mano(left_path, right_path, tmp_path / "out")
    with pytest.raises(HandModelError, match=r"MANO_RIGHT\.pkl: this is a right hand, given as the left one"):
        convert_mano(right_path, right_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"v_template": np.zeros((6890, 3))}, r"v_template has shape \(6890, 3\), not \(778, 3\)"),
        ({"posedirs": np.zeros((778, 3, 207))}, r"posedirs has shape \(778, 3, 207\)"),
        ({"weights": None}, "no array weights"),
        ({"hands_mean": "zero"}, "hands_mean holds <U4, not numbers"),
    ],
)
def test_pickles_of_something_else_are_refused(pickles, tmp_path, changes, message):
    with pytest.raises(HandModelError, match=rf"MANO_RIGHT\.pkl: {message}"):
        convert_mano(*pickles(**changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_left_hand_writes_nothing(pickles, tmp_path):
    right_path, left_path = pickles()
    left_path.unlink()
    with pytest.raises(FileNotFoundError, match=r"MANO_LEFT\.pkl: no such file"):
        convert_mano(right_path, left_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
