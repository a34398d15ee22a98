"""Accelerations over films: known motions, and films that are cut, gappy or read in batches of any size."""

from __future__ import annotations

import math

import pytest
import torch
from support.perfect import perfect

from lgnet_core.data.sample import HandsTruth
from lgnet_core.evaluation.comparison import Comparison, compare
from lgnet_core.evaluation.image_sets import Labelled
from lgnet_core.evaluation.jitter import JitterScore
from lgnet_core.synthetic.generator import SyntheticHands

COUNT = 12


@pytest.fixture(scope="module")
def still(hand_model) -> tuple[Comparison, Labelled]:
    """One image of two hands, over and over: a film of hands that do not move, told without fault."""
    generator = SyntheticHands(5, hand_model)
    batch = generator.crops(torch.arange(8), 32)
    pair = int(batch.presence.all(1).nonzero()[0])
    batch = batch[torch.full((COUNT,), pair)]
    truth = HandsTruth.of(batch, hand_model)
    outcome = compare(perfect(batch, hand_model), batch.wrist, batch, truth)
    film, frame = torch.zeros(COUNT, dtype=torch.long), torch.arange(COUNT)
    return outcome, Labelled(batch, film, truth, film, frame)


def measured(outcome, read, film=None, frame=None, size=COUNT):
    score = JitterScore()
    read = read._replace(film=read.film if film is None else film, frame=read.frame if frame is None else frame)
    for part in torch.arange(len(outcome.joints)).split(size):
        labelled = Labelled(read.batch[part], read.category[part], read.truth, read.film[part], read.frame[part])
        score.update(outcome.select(part), labelled)
    return score.compute()


def moving(outcome: Comparison, said: float, true: float) -> Comparison:
    """Hands that speed up along x by ``said`` and ``true`` metres per frame squared."""
    time = torch.arange(float(COUNT))[:, None, None]
    along = torch.tensor([1.0, 0, 0])
    return outcome._replace(
        wrist=outcome.wrist + 0.5 * said * time**2 * along, true_wrist=outcome.true_wrist + 0.5 * true * time**2 * along
    )


def test_what_stands_still_does_not_tremble(still):
    found = measured(*still)
    assert found["wrist-raw"]["joints"] == (COUNT - 2) * 2 * 20  # all but the wrist
    assert found["camera"]["joints"] == (COUNT - 2) * 2 * 21
    for values in found.values():
        assert values["said"] == pytest.approx(0, abs=1e-3)
        assert values["difference"] == pytest.approx(0, abs=1e-3)


def test_a_known_acceleration(still):
    outcome, read = still
    found = measured(moving(outcome, 0.004, 0.001), read)
    assert found["camera"]["said"] == pytest.approx(4, rel=1e-3)
    assert found["camera"]["true"] == pytest.approx(1, rel=1e-3)
    assert found["camera"]["difference"] == pytest.approx(3, rel=1e-3)
    assert found["wrist-raw"]["said"] == pytest.approx(0, abs=1e-3)


def test_trembling_joints(still):
    """Joints that jump to and fro by 1 mm along an axis: 4 mm per frame squared."""
    outcome, read = still
    swing = (torch.arange(COUNT) % 2 * 2 - 1)[:, None, None, None] * torch.tensor([0.001, 0, 0])
    joints = outcome.joints.clone()
    joints[:, :, 1:] += swing
    found = measured(outcome._replace(joints=joints), read)
    assert found["wrist-raw"]["said"] == pytest.approx(4, rel=1e-3)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_batches_do_not_matter(still, size):
    outcome, read = still
    outcome = moving(outcome, 0.004, 0.001)
    whole, parts = measured(outcome, read), measured(outcome, read, size=size)
    for name, values in whole.items():
        assert parts[name] == pytest.approx(values, rel=1e-6)


def test_films_and_gaps_are_not_bridged(still):
    outcome, read = still
    two = torch.tensor([0] * 6 + [1] * 6)
    assert measured(outcome, read, film=two)["camera"]["joints"] == 8 * 42
    gap = torch.tensor([0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12])
    assert measured(outcome, read, frame=gap)["camera"]["joints"] == 8 * 42
    none = measured(outcome, read, film=torch.full((COUNT,), -1))["camera"]
    assert none["joints"] == 0
    assert math.isnan(none["said"])
    unknown = outcome._replace(known=outcome.known.clone())
    unknown.known[5, 0] = False
    assert measured(unknown, read)["camera"]["joints"] == 10 * 42 - 3 * 21
