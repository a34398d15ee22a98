"""InterHand2.6M's reader on a small set in its format, and on four real images where they are."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest
import torch
from support.made_interhand import MadeSet, write_interhand
from support.paths import SHARED

from lgnet_core.data.interhand26m import AnnotationSet, InterHand26M, Sources, Subset
from lgnet_core.data.real_images import INTERACTING
from lgnet_core.geometry.camera import project
from lgnet_core.io.images import InputError
from lgnet_core.types import WRIST

REAL = SHARED / "testdata" / "interhand2.6m"
SIZE = 128


@pytest.fixture(scope="module")
def made(mano, tmp_path_factory) -> MadeSet:
    return write_interhand(tmp_path_factory.mktemp("interhand"), mano, 10)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LGNET_CACHE_DIR", str(tmp_path / "cache"))


def opened(made: MadeSet, **changes) -> InterHand26M:
    return InterHand26M(Sources.of_split(made.root, made.split), **changes)


def places_in(made: MadeSet, images: InterHand26M, places=None) -> list[int]:
    """Which of the made images those of the reader are."""
    rows = images.rows if places is None else images.rows[places]
    return [made.names.index(images.index.name(int(row))) for row in rows]


def test_fits_give_what_the_images_were_rendered_from(made, mano):
    images = opened(made, mano=mano)
    order = places_in(made, images)
    assert sorted(order) == list(range(10))
    read = images.labels(range(10))
    there = made.truth.presence[order]
    assert torch.equal(read.presence, there)
    assert torch.equal(read.truth.surfaces, there)
    for key, expected in (("vertices", made.labels.vertices), ("joints", made.labels.joints)):
        torch.testing.assert_close(getattr(read.truth, key)[there], expected[order][there], atol=2e-6, rtol=0)
    torch.testing.assert_close(read.truth.measured[there], made.labels.joints[order][there], atol=2e-6, rtol=0)
    assert torch.equal(read.truth.measured_known, there[..., None].expand(-1, -1, 21))
    torch.testing.assert_close(read.rotations[there], made.truth.rotations[order][there], atol=1e-5, rtol=0)
    torch.testing.assert_close(read.shape[there], made.truth.shape[order][there])


def test_crops_show_the_hands_that_their_labels_say(made, mano):
    """The mesh fills 0.8 of the crop; the parameters give the truth's joints; the image is the one that was made."""
    images = opened(made, mano=mano)
    places, batch, truth = images.read(range(10), SIZE)
    assert places == list(range(10))
    labels, there = batch.labels(mano), batch.presence
    torch.testing.assert_close(labels.joints_2d[there], truth.joints_2d[there], atol=2e-3, rtol=0)
    torch.testing.assert_close(labels.vertices[there], truth.vertices[there], atol=2e-6, rtol=0)
    order = places_in(made, images)
    in_full = made.labels.joints_2d[order]
    mapped = torch.einsum("bij,bskj->bski", batch.affine[:, :, :2], in_full) + batch.affine[:, None, None, :, 2]
    torch.testing.assert_close(mapped[there], truth.joints_2d[there], atol=5e-3, rtol=0)
    pixels = project(truth.vertices, batch.intrinsics[:, None])
    for k in range(10):
        shown = pixels[k][there[k]].reshape(-1, 2)
        extent = shown.amax(0) - shown.amin(0)
        assert float(extent.max()) == pytest.approx(0.8 * SIZE, abs=0.05)
        torch.testing.assert_close(
            (shown.amax(0) + shown.amin(0)) / 2, torch.full((2,), (SIZE - 1) / 2), atol=0.05, rtol=0
        )
    grey = ["cam41" in images.index.name(int(row)) for row in images.rows]
    assert 0 < sum(grey) < 10
    for image, is_grey in zip(batch.image, grey):
        assert not is_grey or torch.equal(image[0], image[2])


def test_moved_crops_show_the_surroundings(made, mano):
    """A crop that is turned and shrunk is cut anew out of the image: labels follow, and no black border appears."""
    images = opened(made, mano=mano)
    angle = 0.5
    cos, sin = 0.7 * np.cos(angle), 0.7 * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    move = np.column_stack([linear, np.full(2, (SIZE - 1) / 2) - linear @ np.full(2, (SIZE - 1) / 2)])
    _, still, before = images.read(range(10), SIZE)
    _, moved, after = images.read(range(10), SIZE, np.stack([move] * 10))
    there = still.presence
    expected = before.joints_2d.double() @ torch.from_numpy(linear).T + torch.from_numpy(move[:, 2])
    torch.testing.assert_close(after.joints_2d[there].double(), expected[there], atol=5e-3, rtol=0)
    torch.testing.assert_close(moved.labels(mano).joints_2d[there], after.joints_2d[there], atol=5e-3, rtol=0)
    torch.testing.assert_close(after.joints.norm(dim=-1), before.joints.norm(dim=-1), atol=2e-6, rtol=0)
    corner = still.image[:, :, :4, :4].float().amax((1, 2, 3)) > 0  # not at the border of its image
    assert corner.any()
    assert (moved.image[:, :, :4, :4].float().amax((1, 2, 3)) > 0)[corner].sum() >= corner.sum() // 2


def test_without_mano_the_measured_joints_are_all_there_is(made):
    images = opened(made)
    places, batch, truth = images.read(range(10), SIZE)
    order = places_in(made, images, places)
    assert not truth.surfaces.any()
    assert torch.equal(truth.joints_known, batch.presence[..., None].expand(-1, -1, 21))
    in_full = made.labels.joints_2d[order]
    mapped = torch.einsum("bij,bskj->bski", batch.affine[:, :, :2], in_full) + batch.affine[:, None, None, :, 2]
    torch.testing.assert_close(mapped[batch.presence], truth.joints_2d[batch.presence], atol=5e-3, rtol=0)
    torch.testing.assert_close(batch.wrist, truth.joints[:, :, WRIST])


def test_annotation_sets_and_subsets(made, mano):
    whole = opened(made)
    types = whole.hand_type(range(10))
    human = opened(made, annotation=AnnotationSet.HUMAN)
    machine = opened(made, annotation=AnnotationSet.MACHINE)
    assert sorted(places_in(made, human)) == [1, 3, 5, 7, 9]
    assert sorted(places_in(made, machine)) == [0, 2, 4, 6, 8]
    interacting, single = (opened(made, subset=s) for s in (Subset.INTERACTING, Subset.SINGLE))
    assert len(interacting) == (types == INTERACTING).sum()
    assert len(interacting) + len(single) == 10
    assert (interacting.hand_type(range(len(interacting))) == INTERACTING).all()


def test_lgnet_s_rule(made, mano, tmp_path):
    """Both hands, their type valid, both fitted, not dark: one image fails each, the rest stays."""
    changed = made.copied(tmp_path / "set")
    rows = [k for k, note in enumerate(changed.data["annotations"]) if note["hand_type"] == "interacting"]
    assert len(rows) >= 5
    invalid, without, dark = rows[:3]
    changed.data["annotations"][invalid]["hand_type_valid"] = 0
    image = changed.data["images"][without]
    changed.fits[str(image["capture"])][str(image["frame_idx"])]["left"] = None
    changed.write()
    path = str(changed.root / "images" / "test" / changed.names[dark])
    cv2.imwrite(path, cv2.imread(path) // 40)
    images = opened(changed, subset=Subset.LGNET, mano=mano)
    assert sorted(places_in(changed, images)) == sorted(set(rows) - {invalid, without})
    read = images.read(range(len(images)), SIZE)
    assert sorted(places_in(changed, images, read.places)) == sorted(set(rows) - {invalid, without, dark})
    assert images.skipped() == {"image is dark": 1}


def test_what_is_missing_is_left_out_and_counted(made, mano, tmp_path):
    """Images, keys, cameras, time steps and fits: each missing once."""
    made = made.copied(tmp_path / "set")
    images, notes = made.data["images"], made.data["annotations"]
    del images[0]["camera"]  # and so its annotation has no image
    del notes[1]["bbox"]
    notes[2]["joint_valid"] = [1, 2]
    images[3]["camera"] = "nowhere"
    del made.joints[str(images[4]["capture"])][str(images[4]["frame_idx"])]
    del made.fits[str(images[5]["capture"])][str(images[5]["frame_idx"])]
    fit = made.fits[str(images[6]["capture"])][str(images[6]["frame_idx"])]
    fit["right" if fit["right"] else "left"]["pose"] = [0.0] * 47
    made.write()
    folder = tmp_path / "set" / "images" / "test"
    (folder / made.names[7]).unlink()
    (folder / made.names[8]).write_bytes((folder / made.names[8]).read_bytes()[:900])
    images = opened(made, mano=mano)
    read = images.read(range(len(images)), SIZE)
    assert sorted(places_in(made, images, read.places)) == [5, 6, 9]
    assert images.skipped() == {
        "row lacks a key or holds no numbers": 3,
        "annotation of an image that is not listed": 1,
        "no camera": 1,
        "no 3D joints of this time": 1,
        "MANO fit without numbers": 1,
        "image is missing": 1,
        "image is damaged": 1,
    }
    assert images.unfitted == 2
    assert len(opened(made, mano=mano, fitted_only=True)) == len(images) - 2
    unknown = [k for k, place in enumerate(places_in(made, images, read.places)) if place == 5]
    assert not read.truth.surfaces[unknown].any()
    assert images.read([p for p in range(len(images)) if p not in read.places], SIZE) is None


def test_a_film_is_one_camera_in_one_sequence(made):
    images = opened(made)
    film, frame = images.moments(range(10))
    assert len(set(film.tolist())) == 10  # every made image has a camera of its own
    assert frame.tolist() == [1000 + 10 * place for place in places_in(made, images)]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda made: made.file("camera").unlink(), "1 of 3 files are missing"),
        (lambda made: made.file("data").write_text(json.dumps(made.data)[:-20]), "cut short"),
        (lambda made: made.file("joint_3d").write_text("[1, 2]"), "no annotation file"),
        (lambda made: made.file("camera").write_text("[]"), "no annotation file"),
        (lambda made: made.file("camera").write_text("{}"), "none is of annotation set"),
    ],
)
def test_what_cannot_be_used_is_told(made, tmp_path, spoil, message):
    made = made.copied(tmp_path / "set")
    spoil(made)
    with pytest.raises(InputError, match=message):
        opened(made)


def test_what_is_asked_for_in_vain_is_told(made, tmp_path):
    made = made.copied(tmp_path / "set")
    with pytest.raises(InputError, match="choose of train, val, test"):
        Sources.of_split(made.root, "testing")
    (made.root / "annotations" / "aid_human_annot_test.txt").unlink()
    with pytest.raises(InputError, match="put it into annotations/"):
        opened(made, annotation=AnnotationSet.HUMAN)
    made.file("MANO_NeuralAnnot").unlink()
    assert len(opened(made)) == 10
    with pytest.raises(InputError, match="the subset lgnet needs its fits"):
        opened(made, subset=Subset.LGNET)
    with pytest.raises(InputError, match="a training needs its fits"):
        opened(made, fitted_only=True)


def test_val_is_all_machine_annotated(mano, tmp_path):
    made = write_interhand(tmp_path / "set", mano, 3, "val")
    assert len(opened(made, annotation=AnnotationSet.MACHINE)) == 3
    with pytest.raises(InputError, match="none is of annotation set H"):
        opened(made, annotation=AnnotationSet.HUMAN)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not here (../shared/testdata)")
def test_real_rows():
    """Four real rows: joints project into their boxes; bones are as long as a hand's; views are as annotated."""
    files = [REAL / f"test_interhand2.6m_{kind}.json" for kind in ("data", "camera", "joint_3d")]
    images = InterHand26M(Sources(*files, images=REAL))
    assert [os.path.basename(images.index.name(int(row))) for row in images.rows] == [
        "image44669.jpg", "image69148.jpg", "image2017.jpg", "image29590.jpg",
    ]  # fmt: skip
    assert images.hand_type(range(4)).tolist() == [2, 2, 0, 1]
    assert images.skipped() == {}
    places, batch, truth = images.read(range(4), 256)
    assert places == [0, 1, 2, 3]
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
