"""HIC reader on a small synthetic data set: meshes, crops, missing and invalid files."""

from __future__ import annotations

import json

import pytest
import torch
from support.synthetic_hic import SyntheticHIC, write_hic

from lgnet_core.data.hic import HIC
from lgnet_core.geometry.camera import project
from lgnet_core.io.files import InputError
from lgnet_core.types import Side

SIZE = 128


@pytest.fixture(scope="module")
def template(hand_model, tmp_path_factory) -> SyntheticHIC:
    return write_hic(tmp_path_factory.mktemp("hic"), hand_model)


@pytest.fixture
def dataset(template, tmp_path) -> SyntheticHIC:
    return template.copied(tmp_path / "data")


def test_labels_are_meshes_and_their_joints(dataset, hand_model):
    images = HIC(dataset.root.parent, hand_model)  # the folder above the one that holds HIC.json
    order = sorted(range(6), key=dataset.names.__getitem__)
    indices, batch, truth = images.read(range(6), SIZE)
    assert indices == list(range(6))
    present = dataset.truth.presence[order]
    assert torch.equal(batch.presence, present)
    assert torch.equal(truth.vertices_known, present)
    assert not truth.measured_known.any()
    torch.testing.assert_close(truth.vertices[present], dataset.labels.vertices[order][present], atol=1e-6, rtol=0)
    torch.testing.assert_close(truth.joints[present], dataset.labels.joints[order][present], atol=1e-6, rtol=0)
    seen = project(dataset.truth.labels(hand_model).vertices, dataset.truth.intrinsics[:, None])[order]
    mapped = torch.einsum("bij,bskj->bski", batch.affine[:, :, :2], seen) + batch.affine[:, None, None, :, 2]
    shown = project(truth.vertices, batch.intrinsics[:, None])
    torch.testing.assert_close(shown[present], mapped[present], atol=5e-3, rtol=0)
    torch.testing.assert_close(truth.joints_2d, project(truth.joints, batch.intrinsics[:, None]))


def test_hand_types_and_sequences(dataset, hand_model):
    images = HIC(dataset.root, hand_model)
    types = {"right": 0, "left": 1, "interacting": 2}
    file_names = {image["id"]: image["file_name"] for image in dataset.content["images"]}
    expected = {
        file_names[annotation["image_id"]]: types[annotation["hand_type"]]
        for annotation in dataset.content["annotations"]
    }
    assert images.hand_type(range(6)).tolist() == [expected[name] for name in sorted(expected)]
    sequence, frame = images.sequence_and_frame(range(6))
    assert sequence.tolist() == [0, 0, 0, 1, 1, 1]
    assert frame.tolist() == [0, 2, 4, 1, 3, 5]  # from the file names


def test_incomplete_images_are_skipped_and_counted(dataset, hand_model):
    order = sorted(range(6), key=dataset.names.__getitem__)
    by_name = {image["id"]: image["file_name"] for image in dataset.content["images"]}
    annotations = {by_name[annotation["image_id"]]: annotation for annotation in dataset.content["annotations"]}
    first, second, third, fourth = (dataset.names[k] for k in order[:4])
    (dataset.root / first).unlink()
    del annotations[second]["hand_type"]
    for side in Side:
        annotations[third][f"{side.label}_mano_path"] = None
    (dataset.root / fourth).write_bytes((dataset.root / dataset.names[order[4]]).read_bytes()[:2000])
    (dataset.root / "HIC.json").write_text(json.dumps(dataset.content))
    images = HIC(dataset.root, hand_model)
    read = images.read(range(len(images)), SIZE)
    assert len(read.indices) == 2
    assert images.skipped() == {
        "annotation lacks a key": 1,
        "image is missing": 1,
        "image is damaged": 1,
        "mesh is missing or damaged": 1,
    }


def test_hand_without_mesh_is_present_but_unknown(dataset, hand_model):
    both = next(k for k in range(6) if dataset.truth.presence[k].all())
    annotation = next(n for n in dataset.content["annotations"] if n["image_id"] == 50 + both)
    (dataset.root / annotation["left_mano_path"]).write_bytes(b"ply\nformat ascii 1.0\nend_header\n")
    images = HIC(dataset.root, hand_model)
    index = sorted(dataset.names).index(dataset.names[both])
    _, batch, truth = images.read([index], SIZE)
    assert batch.presence.tolist() == [[True, True]]
    assert truth.vertices_known.tolist() == [[True, False]]
    assert torch.isfinite(truth.vertices).all()
    assert torch.isfinite(truth.joints_2d).all()


def test_invalid_data_set_is_rejected(tmp_path, hand_model):
    with pytest.raises(InputError, match=r"HIC\.json not found"):
        HIC(tmp_path, hand_model)
    (tmp_path / "HIC.json").write_text('{"images": [')
    with pytest.raises(InputError, match="truncated"):
        HIC(tmp_path, hand_model)
