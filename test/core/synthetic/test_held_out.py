"""The frozen held-out set is what it was frozen as, and its labels fit its images."""

import hashlib

import pytest
import torch

from lgnet_core.synthetic.generator import GENERATOR_VERSION, SyntheticHands
from lgnet_core.synthetic.held_out import BUNDLED_SET, HeldOutHands, write_held_out
from lgnet_core.synthetic.reserved import Part
from lgnet_core.synthetic.scene.interactions import COMPOSITION, Kind

FROZEN = "43dea2f91408ea3ee2aee27d886f436c69b9ffaa402e0b2024edb16f55a6a5af"


@pytest.fixture(scope="module")
def frozen(hand_model):
    return HeldOutHands(hand_model)


def test_the_set_is_frozen(frozen):
    """If this fails, somebody has drawn the set anew: no figure could be compared with those before."""
    assert hashlib.sha256(BUNDLED_SET.read_bytes()).hexdigest() == frozen.metadata["digest"] == FROZEN
    assert len(frozen) == 2000
    assert {key: frozen.metadata[key] for key in ("name", "seed", "first_index", "generator_version")} == {
        "name": "synthetic-1",
        "seed": 20_261_121,
        "first_index": 0,
        "generator_version": 3,
    }


def test_it_holds_every_kind_of_scene(frozen):
    shares = torch.bincount(frozen.kind, minlength=len(Kind)) / len(frozen)
    torch.testing.assert_close(shares, torch.tensor(COMPOSITION), rtol=0, atol=0.03)


def test_presence_goes_with_the_kind(frozen):
    presence = frozen.batch(torch.arange(200), 64).presence
    kind = frozen.kind[:200]
    assert not presence[kind == Kind.NONE].any()
    assert not presence[kind == Kind.SINGLE_RIGHT, 1].any()
    assert not presence[kind == Kind.SINGLE_LEFT, 0].any()
    assert presence[kind < Kind.SEPARATE].float().mean() > 0.95


def test_labels_lie_on_the_images(frozen, hand_model):
    """Joints that are said to be visible lie on their hand's part of the segmentation.

    Fingertips, which lie on the surface, and wrists, on the arm's border, may miss it by a pixel.
    """
    inner = [joint for joint in range(1, 21) if joint % 4]
    for size in (256, 128):
        batch = frozen.batch(torch.arange(40), size)
        assert batch.image.shape == (40, 3, size, size)
        joints = batch.labels(hand_model).joints_2d.round().long().clamp(0, size - 1)
        row = torch.arange(40)[:, None, None].expand(-1, 2, 21)
        side = batch.segmentation[row, joints[..., 1], joints[..., 0]]
        on_own_hand = side == torch.tensor([1, 2])[:, None]
        assert on_own_hand[..., inner][batch.visibility[..., inner]].float().mean() > 0.99


@pytest.mark.skipif(GENERATOR_VERSION != 3, reason="the generator has moved on since the set was frozen")
def test_it_is_what_the_generator_draws(frozen, hand_model):
    drawn = SyntheticHands(20_261_121, hand_model, part=Part.HELD_OUT).crops(torch.arange(4), 256)
    stored = frozen.batch(torch.arange(4))
    for name in ("intrinsics", "rotations", "shape", "wrist"):
        torch.testing.assert_close(getattr(stored, name), getattr(drawn, name), rtol=1e-4, atol=1e-4)
    assert (drawn.image.float() - stored.image.float()).abs().mean() < 6


def test_a_set_is_written_once_and_read_back(tmp_path, hand_model):
    path = tmp_path / "set.npz"
    write_held_out(path, hand_model, "small", 5, 6)
    stored = HeldOutHands(hand_model, path)
    generator = SyntheticHands(5, hand_model, part=Part.HELD_OUT)
    drawn = generator.crops(torch.arange(6), 256)
    batch = stored.batch(torch.tensor([4, 1]))
    assert torch.equal(stored.kind, generator.kinds(torch.arange(6)))
    assert torch.equal(batch.segmentation, drawn.segmentation[[4, 1]])
    assert torch.equal(batch.presence, drawn.presence[[4, 1]])
    torch.testing.assert_close(batch.rotations, drawn.rotations[[4, 1]], rtol=0, atol=1e-5)
    assert (batch.image.float() - drawn.image[[4, 1]].float()).abs().mean() < 6, "WebP loses a little"
    with pytest.raises(FileExistsError, match="stays as it is"):
        write_held_out(path, hand_model, "small", 5, 6)


def test_another_hand_model_is_refused():
    class Other:
        name, digest = "mano", "0" * 64

    with pytest.raises(ValueError, match="labels are of the hand model"):
        HeldOutHands(Other())
