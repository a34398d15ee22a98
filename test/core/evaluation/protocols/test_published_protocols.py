"""Each named protocol against a derivation of its own: loops in numpy; some joints unknown, some hands missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.perfect import perfect

from lgnet_core.data.sample import HandsTruth
from lgnet_core.evaluation.comparison import Comparison, compare
from lgnet_core.evaluation.image_sets import CATEGORIES, Category, Labelled
from lgnet_core.evaluation.published_protocols import (
    DIR_MCP,
    DIR_WRIST,
    INTAGHAND,
    INTERNET,
    INTERSHAPE,
    INTERWILD,
    LGNET,
    PUBLISHED_PROTOCOLS,
    PublishedProtocolFigures,
    PublishedProtocolScore,
)
from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.generator import SyntheticHands

COUNT = 12
INTERACTING, SINGLE = (CATEGORIES.index(c) for c in (Category.INTERACTING, Category.SINGLE))


@pytest.fixture(scope="module")
def case(hand_model) -> tuple[Comparison, Labelled]:
    """Wrong predictions of twelve images: some hands absent, some joints not measured, some hands not fitted."""
    generator = torch.Generator().manual_seed(4)
    batch = SyntheticHands(8, hand_model).crops(torch.arange(COUNT), 64)
    presence = torch.ones(COUNT, 2, dtype=torch.bool)
    presence[8:10, 0] = presence[10:, 1] = False  # four single hands, two of each side
    batch = batch.replace(presence=presence)
    truth = HandsTruth.of(batch, hand_model)
    measured = truth.joints + 0.004 * torch.randn(truth.joints.shape, generator=generator)
    known = (torch.rand(COUNT, 2, 21, generator=generator) < 0.85) & presence[..., None]
    known[0, 0, 0] = known[1, 1, 0] = False  # wrists
    fitted = presence.clone()
    fitted[2, 1] = False
    truth = truth._replace(measured=measured, measured_known=known, surfaces=fitted)
    said = perfect(batch, hand_model)

    def wrong(values: torch.Tensor, by: float) -> torch.Tensor:
        return values + by * torch.randn(values.shape, generator=generator)

    said = said._replace(
        joints=wrong(said.joints, 0.01),
        vertices=wrong(1.1 * said.vertices, 0.01),
        relative_translation=wrong(said.relative_translation, 0.02),
    )
    category = torch.where(presence.all(1), INTERACTING, SINGLE)
    none = torch.full((COUNT,), -1)
    return compare(said, batch.wrist, batch, truth), Labelled(batch, category, truth, none, none)


def figures(protocol, case, hand_model: HandModel) -> PublishedProtocolFigures:
    """In two batches."""
    outcome, read = case
    score = PublishedProtocolScore(protocol, hand_model, hand_model)
    for part in (slice(0, 5), slice(5, COUNT)):
        truth = HandsTruth(*(value[part] for value in read.truth))
        labelled = Labelled(read.batch[part], read.category[part], truth, read.film[part], read.frame[part])
        score.update(Comparison(*(value[part] for value in outcome)), labelled)
    return score.compute()


def regressed(vertices, hand_model: HandModel, side: int) -> np.ndarray:
    """Joints of a mesh, by the regressor's rows and the tips' vertices: order worked out by hand."""
    mano = hand_model.J_regressor[side].double().numpy() @ vertices
    tips = vertices[hand_model.tip_vertices.numpy()]
    thumb, index, middle, ring, pinky = ([13, 14, 15], [1, 2, 3], [4, 5, 6], [10, 11, 12], [7, 8, 9])
    order = [mano[0]]
    for k, finger in enumerate((thumb, index, middle, ring, pinky)):
        order += [*mano[finger], tips[k]]
    return np.stack(order)


def internet_errors(case) -> dict[int, list[list[float]]]:
    """By category and joint (42): errors in mm from the wrist, of measured joints whose wrist was measured."""
    outcome, read = case
    errors = {kind: [[] for _ in range(42)] for kind in (SINGLE, INTERACTING)}
    for k in range(COUNT):
        for side in range(2):
            known = read.truth.measured_known[k, side].numpy()
            if not known[0]:
                continue
            said, true = outcome.joints[k, side].double().numpy(), read.truth.measured[k, side].double().numpy()
            for joint in np.flatnonzero(known):
                error = np.linalg.norm((said[joint] - said[0]) - (true[joint] - true[0])) * 1000
                errors[int(read.category[k])][21 * side + joint].append(error)
    return errors


def mean_of_joints(lists) -> float:
    return float(np.mean([np.mean(one) for one in lists if one]))


def test_internet(case, hand_model):
    """Each joint's mean over single and interacting images together, then over the 42."""
    errors = internet_errors(case)
    both = [a + b for a, b in zip(errors[SINGLE], errors[INTERACTING])]
    found = figures(INTERNET, case, hand_model)
    assert found.mpjpe == pytest.approx(mean_of_joints(both), rel=1e-5)
    over_all = float(np.mean(np.concatenate(both)))
    assert found.mpjpe != pytest.approx(over_all, rel=1e-4)
    assert math.isnan(found.mpvpe)
    assert found.images == COUNT


def test_internet_s_mrrpe(case, hand_model):
    """Of measured wrists, where both were measured."""
    outcome, read = case
    errors = []
    for k in range(COUNT):
        if read.truth.measured_known[k, :, 0].all():
            true = read.truth.measured[k, 1, 0] - read.truth.measured[k, 0, 0]
            errors.append(float((outcome.relative_translation[k] - true).norm()) * 1000)
    assert 0 < len(errors) < 8
    for protocol in (INTERNET, INTERWILD):
        assert figures(protocol, case, hand_model).mrrpe == pytest.approx(np.mean(errors), rel=1e-5)


def test_interwild(case, hand_model):
    """Unweighted mean of the means of single and of interacting images; vertices: all hands alike."""
    errors = internet_errors(case)
    single, interacting = mean_of_joints(errors[SINGLE]), mean_of_joints(errors[INTERACTING])
    found = figures(INTERWILD, case, hand_model)
    assert found.groups == pytest.approx((single, interacting), rel=1e-5)
    assert found.mpjpe == pytest.approx((single + interacting) / 2, rel=1e-5)
    assert found.mpjpe != pytest.approx(figures(INTERNET, case, hand_model).mpjpe, rel=1e-4)

    outcome, read = case
    hands, pairs = [], []
    for k in range(COUNT):
        placed = []
        for side in range(2):
            said, true = (v[k, side].double().numpy() for v in (outcome.vertices, outcome.true_vertices))
            said_root, true_root = regressed(said, hand_model, side)[0], regressed(true, hand_model, side)[0]
            if read.truth.surfaces[k, side]:
                hands.append(np.linalg.norm((said - said_root) - (true - true_root), axis=-1).mean() * 1000)
            shift = outcome.relative_translation[k].double().numpy() if side else 0
            true_shift = outcome.true_relative_translation[k].double().numpy() if side else 0
            placed.append((said + shift) - (true + true_shift))
        if read.truth.surfaces[k].all():
            pairs.append(np.linalg.norm(np.concatenate(placed), axis=-1).mean() * 1000)
    assert found.mpvpe == pytest.approx(np.mean(hands), rel=1e-5)
    assert found.rrve == pytest.approx(np.mean(pairs), rel=1e-5)


def aligned(case, hand_model, root: int) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]:
    """By image and side of the interacting images' fitted hands: errors in mm of 21 joints and of the vertices."""
    outcome, read = case
    errors = {}
    for k in range(COUNT):
        for side in range(2):
            if int(read.category[k]) != INTERACTING or not read.truth.surfaces[k, side]:
                continue
            said, true = (v[k, side].double().numpy() for v in (outcome.vertices, outcome.true_vertices))
            said_joints, true_joints = regressed(said, hand_model, side), regressed(true, hand_model, side)
            bone = [np.linalg.norm(joints[9] - joints[0]) for joints in (true_joints, said_joints)]
            scale = bone[0] / bone[1]

            def apart(points, true_points, scale=scale, a=said_joints, b=true_joints):
                return np.linalg.norm(scale * (points - a[root]) - (true_points - b[root]), axis=-1) * 1000

            errors[k, side] = (apart(said_joints, true_joints), apart(said, true))
    assert len(errors) == 15  # eight pairs, one hand not fitted
    return errors


def test_intershape(case, hand_model):
    """Middle MCP and bone; each joint of each side over the images, then the mean; vertices of every valid hand."""
    errors = aligned(case, hand_model, 9)
    by_joint = [np.mean([e[0][j] for (_, s), e in errors.items() if s == side]) for side in range(2) for j in range(21)]
    found = figures(INTERSHAPE, case, hand_model)
    assert found.mpjpe == pytest.approx(np.mean(by_joint), rel=1e-5)
    assert found.mpvpe == pytest.approx(np.mean([vertices.mean() for _, vertices in errors.values()]), rel=1e-5)


@pytest.mark.parametrize(("protocol", "root"), [(INTAGHAND, 9), (DIR_MCP, 9), (DIR_WRIST, 0), (LGNET, 0)])
def test_intaghand_and_its_successors(case, hand_model, protocol, root):
    """Each side's mean over its joints, then (left + right) / 2; scaled by the bone to the MCP, whatever the root."""
    errors = aligned(case, hand_model, root)
    sides = [[e for (_, s), e in errors.items() if s == side] for side in range(2)]
    found = figures(protocol, case, hand_model)
    joints = [np.mean([e[0].mean() for e in side]) for side in sides]
    vertices = [np.mean([e[1].mean() for e in side]) for side in sides]
    assert found.mpjpe == pytest.approx(np.mean(joints), rel=1e-5)
    assert found.mpvpe == pytest.approx(np.mean(vertices), rel=1e-5)
    assert found.images == 8


def test_protocols_differ(case, hand_model):
    """The same predictions under each: what a table without protocols mixes up."""
    found = {p: figures(p, case, hand_model) for p in PUBLISHED_PROTOCOLS}
    joints = [found[p].mpjpe for p in (INTERNET, INTERWILD, INTAGHAND, DIR_WRIST)]
    vertices = [found[p].mpvpe for p in (INTERWILD, INTERSHAPE, INTAGHAND, DIR_WRIST)]
    for values in (joints, vertices):
        assert len({round(value, 3) for value in values}) == len(values)
    # Fitted hands are whole: the mean over joints first or last is the same, but for the vertices hands count alike.
    assert found[INTERSHAPE].mpjpe == pytest.approx(found[INTAGHAND].mpjpe, rel=1e-9)
    assert found[DIR_MCP] == found[INTAGHAND]
    assert found[LGNET] == found[DIR_WRIST]


def test_nothing_to_measure_has_no_number(hand_model):
    found = PublishedProtocolScore(INTERSHAPE, hand_model, hand_model).compute()
    assert math.isnan(found.mpjpe)
    assert math.isnan(found.mrrpe)
    assert found.images == 0
