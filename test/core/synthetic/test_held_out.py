"""Frozen held-out set: integrity, consistency of labels with images, writing and reading."""

import hashlib

import pytest
import torch

from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.held_out import BUNDLED_SET, HeldOutHands, write_held_out
from lgnet_core.synthetic.scene.interactions import SCENE_KIND_WEIGHTS, SceneKind
from lgnet_core.synthetic.splits import Split

FROZEN = "43dea2f91408ea3ee2aee27d886f436c69b9ffaa402e0b2024edb16f55a6a5af"


@pytest.fixture(scope="module")
def frozen(hand_model):
    return HeldOutHands(hand_model)


def test_bundled_set_is_unchanged(frozen):
    """If this fails, the set was generated again and results are no longer comparable with earlier ones."""
    assert hashlib.sha256(BUNDLED_SET.read_bytes()).hexdigest() == frozen.metadata["digest"] == FROZEN
    assert len(frozen) == 2000
    assert {key: frozen.metadata[key] for key in ("name", "seed", "first_index", "generator_version")} == {
        "name": "synthetic-1",
        "seed": 20_261_121,
        "first_index": 0,
        "generator_version": 3,
    }


def test_all_scene_kinds_are_represented(frozen):
    frequencies = torch.bincount(frozen.kind, minlength=len(SceneKind)) / len(frozen)
    torch.testing.assert_close(frequencies, torch.tensor(SCENE_KIND_WEIGHTS), rtol=0, atol=0.03)


def test_presence_matches_scene_kind(frozen):
    presence = frozen.batch(torch.arange(200), 64).presence
    kind = frozen.kind[:200]
    assert not presence[kind == SceneKind.NONE].any()
    assert not presence[kind == SceneKind.SINGLE_RIGHT, 1].any()
    assert not presence[kind == SceneKind.SINGLE_LEFT, 0].any()
    assert presence[kind < SceneKind.SEPARATE].float().mean() > 0.95


def test_visible_joints_lie_on_segmentation_of_their_hand(frozen, hand_model):
    """Visible joints lie on the segmentation of their hand.

    Fingertips, which are on the surface, and wrists, at the border to the arm, may be off by a pixel.
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


def test_set_is_written_once_and_read_back(tmp_path, hand_model):
    path = tmp_path / "set.npz"
    write_held_out(path, hand_model, "small", 5, 6)
    stored = HeldOutHands(hand_model, path)
    generator = SyntheticHands(5, hand_model, split=Split.HELD_OUT)
    generated = generator.crops(torch.arange(6), 256)
    batch = stored.batch(torch.tensor([4, 1]))
    assert torch.equal(stored.kind, generator.scene_kinds(torch.arange(6)))
    assert torch.equal(batch.segmentation, generated.segmentation[[4, 1]])
    assert torch.equal(batch.presence, generated.presence[[4, 1]])
    torch.testing.assert_close(batch.rotations, generated.rotations[[4, 1]], rtol=0, atol=1e-5)
    assert (batch.image.float() - generated.image[[4, 1]].float()).abs().mean() < 6, "WebP is lossy"
    with pytest.raises(FileExistsError, match="never overwritten"):
        write_held_out(path, hand_model, "small", 5, 6)


def test_other_hand_model_is_rejected():
    class Other:
        name, digest = "mano", "0" * 64

    with pytest.raises(ValueError, match="generated with the hand model"):
        HeldOutHands(Other())
