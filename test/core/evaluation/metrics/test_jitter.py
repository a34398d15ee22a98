"""Acceleration in image sequences: known motions, sequence boundaries, gaps and batch sizes."""

from __future__ import annotations

import math

import pytest
import torch
from support.oracle_network import perfect_prediction

from lgnet_core.data.sample import HandsGroundTruth
from lgnet_core.evaluation.comparison import Comparison, compare
from lgnet_core.evaluation.datasets.base import LabelledImages
from lgnet_core.evaluation.metrics.jitter import JitterScore
from lgnet_core.synthetic.generator import SyntheticHands

COUNT = 12


@pytest.fixture(scope="module")
def static(hand_model) -> tuple[Comparison, LabelledImages]:
    """One image of two hands, repeated: a perfect prediction of a static sequence."""
    generator = SyntheticHands(5, hand_model)
    batch = generator.crops(torch.arange(8), 32)
    pair = int(batch.presence.all(1).nonzero()[0])
    batch = batch[torch.full((COUNT,), pair)]
    truth = HandsGroundTruth.of(batch, hand_model)
    comparison = compare(perfect_prediction(batch, hand_model), batch.wrist, batch, truth)
    sequence, frame = torch.zeros(COUNT, dtype=torch.long), torch.arange(COUNT)
    return comparison, LabelledImages(batch, sequence, truth, sequence, frame)


def measure(comparison, read, sequence=None, frame=None, size=COUNT):
    score = JitterScore()
    read = read._replace(
        sequence=read.sequence if sequence is None else sequence, frame=read.frame if frame is None else frame
    )
    for part in torch.arange(len(comparison.joints)).split(size):
        labelled = LabelledImages(
            read.batch[part], read.category[part], read.truth, read.sequence[part], read.frame[part]
        )
        score.update(comparison.select(part), labelled)
    return score.compute()


def accelerate(comparison: Comparison, predicted: float, true: float) -> Comparison:
    """Hands with accelerations ``predicted`` and ``true`` along x, metres per frame squared."""
    time = torch.arange(float(COUNT))[:, None, None]
    along = torch.tensor([1.0, 0, 0])
    return comparison._replace(
        wrist=comparison.wrist + 0.5 * predicted * time**2 * along,
        true_wrist=comparison.true_wrist + 0.5 * true * time**2 * along,
    )


def test_static_hands_have_no_jitter(static):
    result = measure(*static)
    assert result["wrist-raw"]["joints"] == (COUNT - 2) * 2 * 20  # all but the wrist
    assert result["camera"]["joints"] == (COUNT - 2) * 2 * 21
    for values in result.values():
        assert values["predicted"] == pytest.approx(0, abs=1e-3)
        assert values["difference"] == pytest.approx(0, abs=1e-3)


def test_known_acceleration(static):
    comparison, read = static
    result = measure(accelerate(comparison, 0.004, 0.001), read)
    assert result["camera"]["predicted"] == pytest.approx(4, rel=1e-3)
    assert result["camera"]["true"] == pytest.approx(1, rel=1e-3)
    assert result["camera"]["difference"] == pytest.approx(3, rel=1e-3)
    assert result["wrist-raw"]["predicted"] == pytest.approx(0, abs=1e-3)


def test_oscillating_joints(static):
    """Joints that alternate between +-1 mm along an axis: 4 mm per frame squared."""
    comparison, read = static
    oscillation = (torch.arange(COUNT) % 2 * 2 - 1)[:, None, None, None] * torch.tensor([0.001, 0, 0])
    joints = comparison.joints.clone()
    joints[:, :, 1:] += oscillation
    result = measure(comparison._replace(joints=joints), read)
    assert result["wrist-raw"]["predicted"] == pytest.approx(4, rel=1e-3)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_result_does_not_depend_on_batch_size(static, size):
    comparison, read = static
    comparison = accelerate(comparison, 0.004, 0.001)
    whole, parts = measure(comparison, read), measure(comparison, read, size=size)
    for name, values in whole.items():
        assert parts[name] == pytest.approx(values, rel=1e-6)


def test_sequence_boundaries_and_gaps_are_excluded(static):
    comparison, read = static
    two_sequences = torch.tensor([0] * 6 + [1] * 6)
    assert measure(comparison, read, sequence=two_sequences)["camera"]["joints"] == 8 * 42
    frames_with_gap = torch.tensor([0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12])
    assert measure(comparison, read, frame=frames_with_gap)["camera"]["joints"] == 8 * 42
    none = measure(comparison, read, sequence=torch.full((COUNT,), -1))["camera"]
    assert none["joints"] == 0
    assert math.isnan(none["predicted"])
    unknown = comparison._replace(joints_known=comparison.joints_known.clone())
    unknown.joints_known[5, 0] = False
    assert measure(unknown, read)["camera"]["joints"] == 10 * 42 - 3 * 21
