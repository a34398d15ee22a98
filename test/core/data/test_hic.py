"""HIC's reader on a small set in its format: meshes, crops, what is missing."""

from __future__ import annotations

import json

import pytest
import torch
from support.made_hic import MadeHIC, write_hic

from lgnet_core.data.hic import HIC
from lgnet_core.geometry.camera import project
from lgnet_core.io.images import InputError
from lgnet_core.types import Side

SIZE = 128


@pytest.fixture(scope="module")
def written(hand_model, tmp_path_factory) -> MadeHIC:
    return write_hic(tmp_path_factory.mktemp("hic"), hand_model)


@pytest.fixture
def made(written, tmp_path) -> MadeHIC:
    return written.copied(tmp_path / "data")


def test_meshes_are_the_truth_and_joints_are_theirs(made, hand_model):
    images = HIC(made.root.parent, hand_model)  # the folder above the one that holds HIC.json
    order = sorted(range(6), key=made.names.__getitem__)
    places, batch, truth = images.read(range(6), SIZE)
    assert places == list(range(6))
    there = made.truth.presence[order]
    assert torch.equal(batch.presence, there)
    assert torch.equal(truth.surfaces, there)
    assert not truth.measured_known.any()
    torch.testing.assert_close(truth.vertices[there], made.labels.vertices[order][there], atol=1e-6, rtol=0)
    torch.testing.assert_close(truth.joints[there], made.labels.joints[order][there], atol=1e-6, rtol=0)
    seen = project(made.truth.labels(hand_model).vertices, made.truth.intrinsics[:, None])[order]
    mapped = torch.einsum("bij,bskj->bski", batch.affine[:, :, :2], seen) + batch.affine[:, None, None, :, 2]
    shown = project(truth.vertices, batch.intrinsics[:, None])
    torch.testing.assert_close(shown[there], mapped[there], atol=5e-3, rtol=0)
    torch.testing.assert_close(truth.joints_2d, project(truth.joints, batch.intrinsics[:, None]))


def test_hand_types_and_films(made, hand_model):
    images = HIC(made.root, hand_model)
    types = {"right": 0, "left": 1, "interacting": 2}
    told = {image["id"]: image["file_name"] for image in made.content["images"]}
    expected = {told[note["image_id"]]: types[note["hand_type"]] for note in made.content["annotations"]}
    assert images.hand_type(range(6)).tolist() == [expected[name] for name in sorted(expected)]
    film, frame = images.moments(range(6))
    assert film.tolist() == [0, 0, 0, 1, 1, 1]
    assert frame.tolist() == [0, 2, 4, 1, 3, 5]  # as the files are numbered


def test_what_is_missing_is_left_out_and_counted(made, hand_model):
    order = sorted(range(6), key=made.names.__getitem__)
    by_name = {image["id"]: image["file_name"] for image in made.content["images"]}
    notes = {by_name[note["image_id"]]: note for note in made.content["annotations"]}
    first, second, third, fourth = (made.names[k] for k in order[:4])
    (made.root / first).unlink()
    del notes[second]["hand_type"]
    for side in Side:
        notes[third][f"{side.label}_mano_path"] = None
    (made.root / fourth).write_bytes((made.root / made.names[order[4]]).read_bytes()[:2000])
    (made.root / "HIC.json").write_text(json.dumps(made.content))
    images = HIC(made.root, hand_model)
    read = images.read(range(len(images)), SIZE)
    assert len(read.places) == 2
    assert images.skipped() == {
        "row lacks a key": 1,
        "image is missing": 1,
        "image is damaged": 1,
        "mesh is missing or damaged": 1,
    }


def test_a_hand_whose_mesh_is_missing_is_there_but_not_known(made, hand_model):
    both = next(k for k in range(6) if made.truth.presence[k].all())
    note = next(n for n in made.content["annotations"] if n["image_id"] == 50 + both)
    (made.root / note["left_mano_path"]).write_bytes(b"ply\nformat ascii 1.0\nend_header\n")
    images = HIC(made.root, hand_model)
    place = sorted(made.names).index(made.names[both])
    _, batch, truth = images.read([place], SIZE)
    assert batch.presence.tolist() == [[True, True]]
    assert truth.surfaces.tolist() == [[True, False]]
    assert torch.isfinite(truth.vertices).all()
    assert torch.isfinite(truth.joints_2d).all()


def test_no_hic_is_told(tmp_path, hand_model):
    with pytest.raises(InputError, match=r"HIC\.json is not there"):
        HIC(tmp_path, hand_model)
    (tmp_path / "HIC.json").write_text('{"images": [')
    with pytest.raises(InputError, match="is cut short"):
        HIC(tmp_path, hand_model)
