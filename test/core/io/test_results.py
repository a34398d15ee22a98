"""What is written to disk says the same as the hands in memory."""

from __future__ import annotations

import json
import re
import struct

import numpy as np

from lgnet_core.io.results import hands_to_arrays, hands_to_dict, write_hands, write_ply
from lgnet_core.types import JOINT_NAMES, Camera, Hand, Side, TwoHands


def some_hand(side: Side) -> Hand:
    draw = np.random.default_rng(side)
    faces = draw.integers(0, 778, (1538, 3))
    arrays = [draw.normal(size=s) for s in ((21, 3), (778, 3))]
    rest = [draw.normal(size=s) for s in ((21, 2), (21,), (16, 3, 3), (10,))]
    return Hand(side, 0.75, *arrays, faces, *rest)


def test_ply_holds_the_mesh(tmp_path):
    hand = some_hand(Side.RIGHT)
    write_ply(tmp_path / "a.ply", hand.vertices, hand.faces)
    header, body = (tmp_path / "a.ply").read_bytes().split(b"end_header\n")
    assert header.startswith(b"ply\nformat binary_little_endian 1.0\n")
    vertices, faces = re.findall(rb"element (?:vertex|face) (\d+)", header)
    assert (int(vertices), int(faces)) == (778, 1538)
    read = struct.unpack("<" + "f" * 3 * 778, body[: 12 * 778])
    np.testing.assert_allclose(np.reshape(read, (778, 3)), hand.vertices, rtol=1e-6)
    rows = list(struct.iter_unpack("<B3i", body[12 * 778 :]))
    np.testing.assert_array_equal(rows, np.column_stack([np.full(1538, 3), hand.faces]))


def test_json_names_frames_and_holds_the_numbers():
    hand = some_hand(Side.LEFT)
    camera = Camera(np.diag([500.0, 500, 1]), 640, 480)
    told = json.loads(json.dumps(hands_to_dict(TwoHands(None, hand, None, True), camera, source="a.png")))
    assert told["source"] == "a.png"
    assert told["metric"] is True
    assert "camera optical frame" in told["frame"]
    assert told["joint_names"] == list(JOINT_NAMES)
    assert told["relative_translation"] is None
    assert [h["side"] for h in told["hands"]] == ["left"]
    np.testing.assert_allclose(told["hands"][0]["joints"], hand.joints, atol=1e-5)
    np.testing.assert_allclose(told["camera"]["matrix"], camera.matrix)
    assert "wrist" in hands_to_dict(TwoHands(None, None, None, False))["frame"]


def test_arrays_mark_what_was_not_seen():
    hand = some_hand(Side.LEFT)
    arrays = hands_to_arrays(TwoHands(None, hand, None, False))
    assert np.isnan(arrays["presence"][Side.RIGHT])
    assert arrays["presence"][Side.LEFT] == hand.presence
    assert np.isnan(arrays["relative_translation"]).all()
    assert not any(key.startswith("right") for key in arrays)
    np.testing.assert_array_equal(arrays["left_vertices"], hand.vertices)


def test_files_of_one_image(tmp_path):
    right, left = some_hand(Side.RIGHT), some_hand(Side.LEFT)
    paths = write_hands(tmp_path, "a", TwoHands(right, left, np.ones(3), True))
    assert sorted(p.name for p in paths) == ["a.json", "a.npz", "a_left.ply", "a_right.ply"]
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["right_joints"], right.joints)
        np.testing.assert_array_equal(file["relative_translation"], np.ones(3))
    write_hands(tmp_path, "a", TwoHands(None, left, None, True))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "a.npz", "a_left.ply"]
