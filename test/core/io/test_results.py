"""Result files: JSON and npz contents, and the set of files of an image."""

from __future__ import annotations

import json

import numpy as np

from lgnet_core.io.results import hands_to_arrays, hands_to_dict, write_hands
from lgnet_core.types import JOINT_NAMES, Camera, Hand, Side, TwoHands


def random_hand(side: Side) -> Hand:
    rng = np.random.default_rng(side)
    faces = rng.integers(0, 778, (1538, 3))
    joints, vertices = (rng.normal(size=shape) for shape in ((21, 3), (778, 3)))
    others = [rng.normal(size=shape) for shape in ((21, 2), (21,), (16, 3, 3), (10,))]
    return Hand(side, 0.75, joints, vertices, faces, *others)


def test_json_states_the_frame_and_holds_the_values():
    hand = random_hand(Side.LEFT)
    camera = Camera(np.diag([500.0, 500, 1]), 640, 480)
    content = json.loads(json.dumps(hands_to_dict(TwoHands(None, hand, None, True), camera, source="a.png")))
    assert content["source"] == "a.png"
    assert content["metric"] is True
    assert "camera optical frame" in content["frame"]
    assert content["joint_names"] == list(JOINT_NAMES)
    assert content["relative_translation"] is None
    assert [h["side"] for h in content["hands"]] == ["left"]
    np.testing.assert_allclose(content["hands"][0]["joints"], hand.joints, atol=1e-5)
    np.testing.assert_allclose(content["camera"]["matrix"], camera.matrix)
    assert "wrist" in hands_to_dict(TwoHands(None, None, None, False))["frame"]


def test_arrays_of_a_missing_hand():
    hand = random_hand(Side.LEFT)
    arrays = hands_to_arrays(TwoHands(None, hand, None, False))
    assert np.isnan(arrays["presence"][Side.RIGHT])
    assert arrays["presence"][Side.LEFT] == hand.presence
    assert np.isnan(arrays["relative_translation"]).all()
    assert not any(key.startswith("right") for key in arrays)
    np.testing.assert_array_equal(arrays["left_vertices"], hand.vertices)


def test_written_files_match_the_detected_hands(tmp_path):
    right, left = random_hand(Side.RIGHT), random_hand(Side.LEFT)
    paths = write_hands(tmp_path, "a", TwoHands(right, left, np.ones(3), True))
    assert sorted(p.name for p in paths) == ["a.json", "a.npz", "a_left.ply", "a_right.ply"]
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["right_joints"], right.joints)
        np.testing.assert_array_equal(file["relative_translation"], np.ones(3))
    write_hands(tmp_path, "a", TwoHands(None, left, None, True))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "a.npz", "a_left.ply"]
