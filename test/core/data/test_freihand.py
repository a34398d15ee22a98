"""FreiHAND reader on a small synthetic data set: labels, versions, fits, missing and invalid files."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from support.synthetic_freihand import SyntheticFreiHAND, write_freihand

from lgnet_core.data.freihand import FreiHAND
from lgnet_core.geometry.camera import project
from lgnet_core.io.files import InputError
from lgnet_core.types import Side

SIZE = 96


@pytest.fixture(scope="module")
def evaluation_split(mano, tmp_path_factory) -> SyntheticFreiHAND:
    return write_freihand(tmp_path_factory.mktemp("freihand"), mano)


@pytest.fixture(scope="module")
def training_split(mano, tmp_path_factory) -> SyntheticFreiHAND:
    return write_freihand(tmp_path_factory.mktemp("freihand"), mano, split="train")


def copied(dataset: SyntheticFreiHAND, root) -> SyntheticFreiHAND:
    shutil.copytree(dataset.root, root)
    return SyntheticFreiHAND(root, dataset.split, dataset.truth, dataset.labels)


def test_joints_are_seen_where_the_image_shows_them(evaluation_split):
    """Projection in the crop equals the crop's transform of the projection in the full image."""
    indices, batch, truth = FreiHAND(evaluation_split.root).read(range(4), SIZE)
    assert indices == [0, 1, 2, 3]
    assert batch.presence.tolist() == [[True, False]] * 4
    assert truth.joints_known.tolist() == [[[True] * 21, [False] * 21]] * 4
    shown = evaluation_split.labels.joints_2d[:, Side.RIGHT]
    in_crop = torch.einsum("bij,bkj->bki", batch.affine[..., :2], shown) + batch.affine[:, None, :, 2]
    torch.testing.assert_close(truth.joints_2d[:, Side.RIGHT], in_crop, atol=1e-2, rtol=0)
    assert ((in_crop > 0) & (in_crop < SIZE)).all()  # the crop is cut around the joints
    torch.testing.assert_close(truth.joints, truth.measured)


def test_order_of_fingertips(evaluation_split):
    """Tips of thumb to pinky are joints 4, 8, 12, 16, 20."""
    truth = FreiHAND(evaluation_split.root).read([1], SIZE).truth
    expected = evaluation_split.labels.vertices[1, Side.RIGHT][[745, 317, 444, 556, 673]]
    tips = truth.joints[0, Side.RIGHT, [4, 8, 12, 16, 20]]
    torch.testing.assert_close((tips - tips[0]).norm(dim=-1), (expected - expected[0]).norm(dim=-1))


def test_meshes_of_the_evaluation_split(evaluation_split, tmp_path):
    truth = FreiHAND(evaluation_split.root).read([2], SIZE).truth
    assert truth.vertices_known.tolist() == [[True, False]]
    between = truth.vertices[0, Side.RIGHT] - truth.joints[0, Side.RIGHT, :1]
    expected = evaluation_split.labels.vertices[2, Side.RIGHT] - evaluation_split.labels.joints[2, Side.RIGHT, :1]
    torch.testing.assert_close(between.norm(dim=-1), expected.norm(dim=-1), atol=1e-6, rtol=0)
    changed = copied(evaluation_split, tmp_path / "set")
    changed.path("verts").unlink()
    assert not FreiHAND(changed.root).read([2], SIZE).truth.vertices_known.any()


def test_fits_of_the_training_split(training_split, mano):
    """Parameters give the mesh that the joints belong to, and its projection."""
    images = FreiHAND(training_split.root, "train", mano)
    _, batch, truth = images.read(range(4), SIZE)
    assert truth.vertices_known.tolist() == [[True, False]] * 4
    labels = batch.labels(mano)
    right = Side.RIGHT
    torch.testing.assert_close(labels.joints[:, right], truth.joints[:, right], atol=2e-5, rtol=0)
    torch.testing.assert_close(labels.vertices[:, right], truth.vertices[:, right], atol=2e-5, rtol=0)
    shown = project(truth.vertices[:, right], batch.intrinsics)
    in_image = project(training_split.labels.vertices[:, right], training_split.truth.intrinsics)
    in_crop = torch.einsum("bij,bkj->bki", batch.affine[..., :2], in_image) + batch.affine[:, None, :, 2]
    torch.testing.assert_close(shown, in_crop, atol=2e-2, rtol=0)
    without = FreiHAND(training_split.root, "train").read([0], SIZE).truth
    assert not without.vertices_known.any()


def test_versions_share_the_labels(training_split, tmp_path):
    images = FreiHAND(training_split.root, "train")
    assert len(images) == 16
    batch = images.read([1, 5, 9, 13], SIZE).batch
    brightness = batch.image.float().mean((1, 2, 3))
    assert (brightness.diff() < 0).all()
    torch.testing.assert_close(batch.wrist, batch.wrist[:1].expand(4, 2, 3))
    changed = copied(training_split, tmp_path / "set")
    for index in range(8, 16):
        changed.image(index).unlink()
    assert len(FreiHAND(changed.root, "train")) == 8


def test_unusable_images_are_skipped_and_counted(evaluation_split, tmp_path):
    changed = copied(evaluation_split, tmp_path / "set")
    changed.image(0).unlink()
    changed.image(1).write_bytes(changed.image(2).read_bytes()[:200])
    images = FreiHAND(changed.root)
    assert images.read([0, 1, 3], SIZE).indices == [3]
    assert images.read([0, 1], SIZE) is None
    assert images.skipped() == {"image is missing": 1, "image is damaged": 1}


def test_all_hands_are_single_right_stills(evaluation_split):
    images = FreiHAND(evaluation_split.root)
    assert images.hand_type([0, 3]).tolist() == [int(Side.RIGHT)] * 2
    assert [values.tolist() for values in images.sequence_and_frame([0, 3])] == [[-1, -1], [-1, -1]]


@pytest.mark.parametrize("kind", ["K", "xyz"])
def test_missing_file_is_named_with_its_remedy(evaluation_split, tmp_path, kind):
    changed = copied(evaluation_split, tmp_path / "set")
    changed.path(kind).unlink()
    with pytest.raises(InputError, match=rf"evaluation_{kind}\.json not found.*FreiHAND_pub_v2_eval"):
        FreiHAND(changed.root)


def test_invalid_files_are_rejected(evaluation_split, training_split, mano, tmp_path):
    changed = copied(evaluation_split, tmp_path / "set")
    changed.change("xyz", lambda rows: rows.pop())
    with pytest.raises(InputError, match=r"different numbers of samples: evaluation_xyz\.json: 3"):
        FreiHAND(changed.root)
    changed.change("xyz", lambda rows: rows[0].pop())
    with pytest.raises(InputError, match=r"evaluation_xyz\.json: truncated.*download it again"):
        FreiHAND(changed.root)
    changed.path("xyz").write_text("[[[0.1,")
    with pytest.raises(InputError, match=r"evaluation_xyz\.json: truncated"):
        FreiHAND(changed.root)
    with pytest.raises(InputError, match="unknown split 'val'; choose from train, test"):
        FreiHAND(changed.root, "val")
    train = copied(training_split, tmp_path / "train")
    train.change("mano", lambda rows: rows[0].__setitem__(0, [np.nan] * 61))
    with pytest.raises(InputError, match=r"training_mano\.json.*N x 1 x 61 finite numbers"):
        FreiHAND(train.root, "train", mano)
