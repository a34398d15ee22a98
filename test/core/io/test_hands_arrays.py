"""Arrays of a video: the rows of the table, with the values of the hands."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from support.recorded_frames import moving_frames

from lgnet_core.io.hands_arrays import HandsArrays
from lgnet_core.io.hands_table import HandsTable
from lgnet_core.io.output import OutputError
from lgnet_core.types import JOINT_NAMES, TwoHands


def test_rows_are_those_of_the_table(tmp_path, hand_model):
    frames = moving_frames(hand_model)
    frames[3] = replace(frames[3], hands=replace(frames[3].hands, metric=False))
    with HandsTable(tmp_path / "a.csv") as table, HandsArrays(tmp_path / "a.npz") as arrays:
        for frame in frames:
            table.add(frame.number, frame.time, frame.hands)
            arrays.add(frame.number, frame.time, frame.hands)
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        found = dict(file)
    assert {name: values.shape[1:] for name, values in found.items() if name != "joint_names"} == {
        **dict.fromkeys(("frame", "time", "side", "track_id", "presence", "metric"), ()),
        "joints": (21, 3),
        "joints_2d": (21, 2),
        "joint_std": (21,),
        "rotations": (16, 3, 3),
        "shape": (10,),
    }
    assert {len(values) for name, values in found.items() if name != "joint_names"} == {len(rows)} == {5}
    assert found["joint_names"].tolist() == list(JOINT_NAMES)
    for k, row in enumerate(rows):
        assert ("right", "left")[found["side"][k]] == row["side"]
        for name in ("frame", "time", "track_id", "metric"):
            assert float(found[name][k]) == float(row[name]), name
        assert found["presence"][k] == pytest.approx(float(row["presence"]), abs=1e-4)
        for j, joint in enumerate(JOINT_NAMES):
            np.testing.assert_allclose(found["joints"][k, j], [float(row[f"{joint}_{a}"]) for a in "xyz"], atol=1e-5)
            np.testing.assert_allclose(found["joints_2d"][k, j], [float(row[f"{joint}_{a}"]) for a in "uv"], atol=0.01)
            assert found["joint_std"][k, j] == pytest.approx(float(row[f"{joint}_std"]), abs=1e-5)
    hand = frames[0].hands.left
    np.testing.assert_allclose(found["rotations"][1], hand.rotations, atol=1e-6)
    np.testing.assert_allclose(found["shape"][1], hand.shape, atol=1e-6)


def test_without_hands_there_are_no_rows(tmp_path):
    with HandsArrays(tmp_path / "a.npz") as arrays:
        arrays.add(0, 0.0, TwoHands(None, None, None, True))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file["joints"].shape == (0, 21, 3)
        assert file["frame"].shape == (0,)


def test_an_interrupted_file_is_complete_until_then(tmp_path, hand_model):
    frame = moving_frames(hand_model)[0]

    def interrupted():
        with HandsArrays(tmp_path / "a.npz") as arrays:
            arrays.add(frame.number, frame.time, frame.hands)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file["side"].tolist() == [0, 1]


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(OutputError, match=r"cannot write .*a\.npz: no such file or directory"),
        HandsArrays(tmp_path / "nowhere" / "a.npz"),
    ):
        pass
