"""InterHand2.6M data set on a small synthetic set in its format, and on four real images where available."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest
import torch
from support.paths import SHARED, requires
from support.synthetic_interhand import SyntheticInterHand, write_interhand

from lgnet_core.data.annotated_images import INTERACTING
from lgnet_core.data.interhand26m import AnnotationSet, InterHand26M, SplitFiles, Subset
from lgnet_core.geometry.camera import project
from lgnet_core.io.files import InputError
from lgnet_core.types import WRIST

REAL = SHARED / "testdata" / "interhand2.6m"
SIZE = 128


@pytest.fixture(scope="module")
def dataset(mano, tmp_path_factory) -> SyntheticInterHand:
    return write_interhand(tmp_path_factory.mktemp("interhand"), mano, 10)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LGNET_CACHE_DIR", str(tmp_path / "cache"))


def open_dataset(dataset: SyntheticInterHand, **changes) -> InterHand26M:
    return InterHand26M(SplitFiles.from_root(dataset.root, dataset.split), **changes)


def indices_of(dataset: SyntheticInterHand, images: InterHand26M, indices=None) -> list[int]:
    """Indices of the reader's images in the synthetic data set."""
    rows = images.rows if indices is None else images.rows[indices]
    return [dataset.names.index(images.index.name(int(row))) for row in rows]


def test_fits_reproduce_rendered_hands(dataset, mano):
    images = open_dataset(dataset, mano=mano)
    order = indices_of(dataset, images)
    assert sorted(order) == list(range(10))
    read = images.labels(range(10))
    present = dataset.truth.presence[order]
    assert torch.equal(read.presence, present)
    assert torch.equal(read.truth.vertices_known, present)
    for key, expected in (("vertices", dataset.labels.vertices), ("joints", dataset.labels.joints)):
        torch.testing.assert_close(getattr(read.truth, key)[present], expected[order][present], atol=2e-6, rtol=0)
    torch.testing.assert_close(read.truth.measured[present], dataset.labels.joints[order][present], atol=2e-6, rtol=0)
    assert torch.equal(read.truth.measured_known, present[..., None].expand(-1, -1, 21))
    torch.testing.assert_close(read.rotations[present], dataset.truth.rotations[order][present], atol=1e-5, rtol=0)
    torch.testing.assert_close(read.shape[present], dataset.truth.shape[order][present])


def test_crops_match_their_labels(dataset, mano):
    """The mesh fills 0.8 of the crop; the parameters give the true joints; greyscale images stay greyscale."""
    images = open_dataset(dataset, mano=mano)
    indices, batch, truth = images.read(range(10), SIZE)
    assert indices == list(range(10))
    labels, present = batch.labels(mano), batch.presence
    torch.testing.assert_close(labels.joints_2d[present], truth.joints_2d[present], atol=2e-3, rtol=0)
    torch.testing.assert_close(labels.vertices[present], truth.vertices[present], atol=2e-6, rtol=0)
    order = indices_of(dataset, images)
    in_full = dataset.labels.joints_2d[order]
    mapped = torch.einsum("bij,bskj->bski", batch.affine[:, :, :2], in_full) + batch.affine[:, None, None, :, 2]
    torch.testing.assert_close(mapped[present], truth.joints_2d[present], atol=5e-3, rtol=0)
    pixels = project(truth.vertices, batch.intrinsics[:, None])
    for k in range(10):
        shown = pixels[k][present[k]].reshape(-1, 2)
        extent = shown.amax(0) - shown.amin(0)
        assert float(extent.max()) == pytest.approx(0.8 * SIZE, abs=0.05)
        torch.testing.assert_close(
            (shown.amax(0) + shown.amin(0)) / 2, torch.full((2,), (SIZE - 1) / 2), atol=0.05, rtol=0
        )
    grey = ["cam41" in images.index.name(int(row)) for row in images.rows]
    assert 0 < sum(grey) < 10
    for image, is_grey in zip(batch.image, grey):
        assert not is_grey or torch.equal(image[0], image[2])


def test_augmented_crops_contain_real_surroundings(dataset, mano):
    """A rotated and shrunk crop is cut from the full image: labels follow, and there is no black border."""
    images = open_dataset(dataset, mano=mano)
    angle = 0.5
    cos, sin = 0.7 * np.cos(angle), 0.7 * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    crop_affine = np.column_stack([linear, np.full(2, (SIZE - 1) / 2) - linear @ np.full(2, (SIZE - 1) / 2)])
    _, unmoved, unmoved_truth = images.read(range(10), SIZE)
    _, moved, moved_truth = images.read(range(10), SIZE, np.stack([crop_affine] * 10))
    present = unmoved.presence
    expected = unmoved_truth.joints_2d.double() @ torch.from_numpy(linear).T + torch.from_numpy(crop_affine[:, 2])
    torch.testing.assert_close(moved_truth.joints_2d[present].double(), expected[present], atol=5e-3, rtol=0)
    torch.testing.assert_close(moved.labels(mano).joints_2d[present], moved_truth.joints_2d[present], atol=5e-3, rtol=0)
    torch.testing.assert_close(moved_truth.joints.norm(dim=-1), unmoved_truth.joints.norm(dim=-1), atol=2e-6, rtol=0)
    corner = unmoved.image[:, :, :4, :4].float().amax((1, 2, 3)) > 0  # the crop is inside its image
    assert corner.any()
    assert (moved.image[:, :, :4, :4].float().amax((1, 2, 3)) > 0)[corner].sum() >= corner.sum() // 2


def test_without_mano_only_measured_joints_are_known(dataset):
    images = open_dataset(dataset)
    indices, batch, truth = images.read(range(10), SIZE)
    order = indices_of(dataset, images, indices)
    assert not truth.vertices_known.any()
    assert torch.equal(truth.joints_known, batch.presence[..., None].expand(-1, -1, 21))
    in_full = dataset.labels.joints_2d[order]
    mapped = torch.einsum("bij,bskj->bski", batch.affine[:, :, :2], in_full) + batch.affine[:, None, None, :, 2]
    torch.testing.assert_close(mapped[batch.presence], truth.joints_2d[batch.presence], atol=5e-3, rtol=0)
    torch.testing.assert_close(batch.wrist, truth.joints[:, :, WRIST])


def test_annotation_sets_and_subsets(dataset, mano):
    whole = open_dataset(dataset)
    types = whole.hand_type(range(10))
    human = open_dataset(dataset, annotation=AnnotationSet.HUMAN)
    machine = open_dataset(dataset, annotation=AnnotationSet.MACHINE)
    assert sorted(indices_of(dataset, human)) == [1, 3, 5, 7, 9]
    assert sorted(indices_of(dataset, machine)) == [0, 2, 4, 6, 8]
    interacting, single = (open_dataset(dataset, subset=s) for s in (Subset.INTERACTING, Subset.SINGLE))
    assert len(interacting) == (types == INTERACTING).sum()
    assert len(interacting) + len(single) == 10
    assert (interacting.hand_type(range(len(interacting))) == INTERACTING).all()


def test_lgnet_subset(dataset, mano, tmp_path):
    """Both hands, their type valid, both fitted, not dark: one image violates each condition."""
    changed = dataset.copied(tmp_path / "set")
    rows = [k for k, annotation in enumerate(changed.data["annotations"]) if annotation["hand_type"] == "interacting"]
    assert len(rows) >= 5
    invalid, without, dark = rows[:3]
    changed.data["annotations"][invalid]["hand_type_valid"] = 0
    image = changed.data["images"][without]
    changed.fits[str(image["capture"])][str(image["frame_idx"])]["left"] = None
    changed.write()
    path = str(changed.root / "images" / "test" / changed.names[dark])
    cv2.imwrite(path, cv2.imread(path) // 40)
    images = open_dataset(changed, subset=Subset.LGNET, mano=mano)
    assert sorted(indices_of(changed, images)) == sorted(set(rows) - {invalid, without})
    read = images.read(range(len(images)), SIZE)
    assert sorted(indices_of(changed, images, read.indices)) == sorted(set(rows) - {invalid, without, dark})
    assert images.skipped() == {"image is too dark": 1}


def test_incomplete_rows_and_images_are_skipped_and_counted(dataset, mano, tmp_path):
    """Images, keys, cameras, time steps and fits, one of each missing."""
    dataset = dataset.copied(tmp_path / "set")
    images, annotations = dataset.data["images"], dataset.data["annotations"]
    del images[0]["camera"]  # so its annotation has no image
    del annotations[1]["bbox"]
    annotations[2]["joint_valid"] = [1, 2]
    images[3]["camera"] = "nowhere"
    del dataset.joints[str(images[4]["capture"])][str(images[4]["frame_idx"])]
    del dataset.fits[str(images[5]["capture"])][str(images[5]["frame_idx"])]
    fit = dataset.fits[str(images[6]["capture"])][str(images[6]["frame_idx"])]
    fit["right" if fit["right"] else "left"]["pose"] = [0.0] * 47
    dataset.write()
    folder = tmp_path / "set" / "images" / "test"
    (folder / dataset.names[7]).unlink()
    (folder / dataset.names[8]).write_bytes((folder / dataset.names[8]).read_bytes()[:900])
    images = open_dataset(dataset, mano=mano)
    read = images.read(range(len(images)), SIZE)
    assert sorted(indices_of(dataset, images, read.indices)) == [5, 6, 9]
    assert images.skipped() == {
        "row lacks a key or has invalid numbers": 3,
        "annotation of an unlisted image": 1,
        "no camera": 1,
        "no 3D joints of this time step": 1,
        "MANO fit with invalid numbers": 1,
        "image is missing": 1,
        "image is damaged": 1,
    }
    assert images.unfitted == 2
    assert len(open_dataset(dataset, mano=mano, fitted_only=True)) == len(images) - 2
    unknown = [k for k, index in enumerate(indices_of(dataset, images, read.indices)) if index == 5]
    assert not read.truth.vertices_known[unknown].any()
    assert images.read([p for p in range(len(images)) if p not in read.indices], SIZE) is None


def test_sequence_is_one_camera_in_one_sequence(dataset):
    images = open_dataset(dataset)
    sequence, frame = images.sequence_and_frame(range(10))
    assert len(set(sequence.tolist())) == 10  # every synthetic image has its own camera
    assert frame.tolist() == [1000 + 10 * index for index in indices_of(dataset, images)]


@pytest.mark.parametrize(
    ("corrupt", "message"),
    [
        (lambda dataset: dataset.file("camera").unlink(), "1 of 3 files are missing"),
        (lambda dataset: dataset.file("data").write_text(json.dumps(dataset.data)[:-20]), "truncated"),
        (lambda dataset: dataset.file("joint_3d").write_text("[1, 2]"), "not an annotation file"),
        (lambda dataset: dataset.file("camera").write_text("[]"), "not an annotation file"),
        (lambda dataset: dataset.file("camera").write_text("{}"), "none of the .* in annotation set"),
    ],
)
def test_invalid_files_are_rejected(dataset, tmp_path, corrupt, message):
    dataset = dataset.copied(tmp_path / "set")
    corrupt(dataset)
    with pytest.raises(InputError, match=message):
        open_dataset(dataset)


def test_unavailable_selection_is_rejected(dataset, tmp_path):
    dataset = dataset.copied(tmp_path / "set")
    with pytest.raises(InputError, match="choose from train, val, test"):
        SplitFiles.from_root(dataset.root, "testing")
    (dataset.root / "annotations" / "aid_human_annot_test.txt").unlink()
    with pytest.raises(InputError, match="put it into annotations/"):
        open_dataset(dataset, annotation=AnnotationSet.HUMAN)
    dataset.file("MANO_NeuralAnnot").unlink()
    assert len(open_dataset(dataset)) == 10
    with pytest.raises(InputError, match="the subset lgnet needs its fits"):
        open_dataset(dataset, subset=Subset.LGNET)
    with pytest.raises(InputError, match="training needs its fits"):
        open_dataset(dataset, fitted_only=True)


def test_val_is_annotated_by_machines_only(mano, tmp_path):
    dataset = write_interhand(tmp_path / "set", mano, 3, "val")
    assert len(open_dataset(dataset, annotation=AnnotationSet.MACHINE)) == 3
    with pytest.raises(InputError, match="in annotation set H"):
        open_dataset(dataset, annotation=AnnotationSet.HUMAN)


@requires(REAL)
def test_real_images():
    """Four real images: joints project into their boxes; bones have plausible lengths; hands are as annotated."""
    files = [REAL / f"test_interhand2.6m_{kind}.json" for kind in ("data", "camera", "joint_3d")]
    images = InterHand26M(SplitFiles(*files, images=REAL))
    assert [os.path.basename(images.index.name(int(row))) for row in images.rows] == [
        "image44669.jpg", "image69148.jpg", "image2017.jpg", "image29590.jpg",
    ]  # fmt: skip
    assert images.hand_type(range(4)).tolist() == [2, 2, 0, 1]
    assert images.skipped() == {}
    indices, batch, truth = images.read(range(4), 256)
    assert indices == [0, 1, 2, 3]
    assert torch.equal(truth.joints_known.any(-1), batch.presence)
    inside = ((truth.joints_2d > -0.5) & (truth.joints_2d < 255.5)).all(-1)
    assert inside[truth.joints_known].all()
    for k, side in batch.presence.nonzero().tolist():
        finger = truth.joints[k, side, 9:13]
        assert 0.05 < float(finger.diff(dim=0).norm(dim=-1).sum()) < 0.12
        shown = truth.joints_2d[k][truth.joints_known[k]]
        assert 0.5 * 256 < float((shown.amax(0) - shown.amin(0)).max()) < 256
    depth = truth.joints[..., 2][truth.joints_known]
    assert 0.5 < float(depth.min()) < float(depth.max()) < 2.0
