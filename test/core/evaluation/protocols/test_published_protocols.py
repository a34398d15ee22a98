"""Published protocols against explicit loops in numpy, with unknown joints and missing hands."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.oracle_network import perfect_prediction

from lgnet_core.data.sample import HandsGroundTruth
from lgnet_core.evaluation.comparison import Comparison, compare
from lgnet_core.evaluation.datasets.base import CATEGORIES, Category, LabelledImages
from lgnet_core.evaluation.protocols.published_protocols import (
    DIR_MCP,
    DIR_WRIST,
    INTAGHAND,
    INTERNET,
    INTERSHAPE,
    INTERWILD,
    LGNET,
    PUBLISHED_PROTOCOLS,
    PublishedProtocolMetrics,
    PublishedProtocolScore,
)
from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.generator import SyntheticHands

COUNT = 12
INTERACTING, SINGLE = (CATEGORIES.index(c) for c in (Category.INTERACTING, Category.SINGLE))


@pytest.fixture(scope="module")
def case(hand_model) -> tuple[Comparison, LabelledImages]:
    """Predictions with errors for twelve images: some hands absent, some joints not measured, some hands not fitted."""
    generator = torch.Generator().manual_seed(4)
    batch = SyntheticHands(8, hand_model).crops(torch.arange(COUNT), 64)
    presence = torch.ones(COUNT, 2, dtype=torch.bool)
    presence[8:10, 0] = presence[10:, 1] = False  # four single hands, two of each side
    batch = batch.replace(presence=presence)
    truth = HandsGroundTruth.of(batch, hand_model)
    measured = truth.joints + 0.004 * torch.randn(truth.joints.shape, generator=generator)
    known = (torch.rand(COUNT, 2, 21, generator=generator) < 0.85) & presence[..., None]
    known[0, 0, 0] = known[1, 1, 0] = False  # wrists
    fitted = presence.clone()
    fitted[2, 1] = False
    truth = truth._replace(measured=measured, measured_known=known, vertices_known=fitted)
    predicted = perfect_prediction(batch, hand_model)

    def add_noise(values: torch.Tensor, by: float) -> torch.Tensor:
        return values + by * torch.randn(values.shape, generator=generator)

    predicted = predicted._replace(
        joints=add_noise(predicted.joints, 0.01),
        vertices=add_noise(1.1 * predicted.vertices, 0.01),
        relative_translation=add_noise(predicted.relative_translation, 0.02),
    )
    category = torch.where(presence.all(1), INTERACTING, SINGLE)
    none = torch.full((COUNT,), -1)
    return compare(predicted, batch.wrist, batch, truth), LabelledImages(batch, category, truth, none, none)


def compute_metrics(protocol, case, hand_model: HandModel) -> PublishedProtocolMetrics:
    """Metrics accumulated over two batches."""
    comparison, read = case
    score = PublishedProtocolScore(protocol, hand_model, hand_model)
    for rows in (slice(0, 5), slice(5, COUNT)):
        truth = HandsGroundTruth(*(value[rows] for value in read.truth))
        labelled = LabelledImages(read.batch[rows], read.category[rows], truth, read.sequence[rows], read.frame[rows])
        score.update(Comparison(*(value[rows] for value in comparison)), labelled)
    return score.compute()


def regress_joints(vertices, hand_model: HandModel, side: int) -> np.ndarray:
    """Joints of a mesh from the regressor's rows and the fingertip vertices; the order is written out."""
    mano = hand_model.J_regressor[side].double().numpy() @ vertices
    tips = vertices[hand_model.tip_vertices.numpy()]
    thumb, index, middle, ring, pinky = ([13, 14, 15], [1, 2, 3], [4, 5, 6], [10, 11, 12], [7, 8, 9])
    order = [mano[0]]
    for k, finger in enumerate((thumb, index, middle, ring, pinky)):
        order += [*mano[finger], tips[k]]
    return np.stack(order)


def internet_errors(case) -> dict[int, list[list[float]]]:
    """Errors in mm of measured joints relative to measured wrists, by category and joint (42)."""
    comparison, read = case
    errors = {kind: [[] for _ in range(42)] for kind in (SINGLE, INTERACTING)}
    for k in range(COUNT):
        for side in range(2):
            known = read.truth.measured_known[k, side].numpy()
            if not known[0]:
                continue
            predicted, true = comparison.joints[k, side].double().numpy(), read.truth.measured[k, side].double().numpy()
            for joint in np.flatnonzero(known):
                error = np.linalg.norm((predicted[joint] - predicted[0]) - (true[joint] - true[0])) * 1000
                errors[int(read.category[k])][21 * side + joint].append(error)
    return errors


def mean_of_joints(lists) -> float:
    return float(np.mean([np.mean(one) for one in lists if one]))


def test_internet(case, hand_model):
    """The mean of each joint over single and interacting images together, then over the 42 joints."""
    errors = internet_errors(case)
    both = [a + b for a, b in zip(errors[SINGLE], errors[INTERACTING])]
    metrics = compute_metrics(INTERNET, case, hand_model)
    assert metrics.mpjpe == pytest.approx(mean_of_joints(both), rel=1e-5)
    over_all = float(np.mean(np.concatenate(both)))
    assert metrics.mpjpe != pytest.approx(over_all, rel=1e-4)
    assert math.isnan(metrics.mpvpe)
    assert metrics.images == COUNT


def test_internet_mrrpe(case, hand_model):
    """Of measured wrists, if both were measured."""
    comparison, read = case
    errors = []
    for k in range(COUNT):
        if read.truth.measured_known[k, :, 0].all():
            true = read.truth.measured[k, 1, 0] - read.truth.measured[k, 0, 0]
            errors.append(float((comparison.relative_translation[k] - true).norm()) * 1000)
    assert 0 < len(errors) < 8
    for protocol in (INTERNET, INTERWILD):
        assert compute_metrics(protocol, case, hand_model).mrrpe == pytest.approx(np.mean(errors), rel=1e-5)


def test_interwild(case, hand_model):
    """Unweighted mean of the means of single and of interacting images; vertices: all hands with equal weight."""
    errors = internet_errors(case)
    single, interacting = mean_of_joints(errors[SINGLE]), mean_of_joints(errors[INTERACTING])
    metrics = compute_metrics(INTERWILD, case, hand_model)
    assert metrics.groups == pytest.approx((single, interacting), rel=1e-5)
    assert metrics.mpjpe == pytest.approx((single + interacting) / 2, rel=1e-5)
    assert metrics.mpjpe != pytest.approx(compute_metrics(INTERNET, case, hand_model).mpjpe, rel=1e-4)

    comparison, read = case
    hands, pairs = [], []
    for k in range(COUNT):
        placed = []
        for side in range(2):
            predicted, true = (v[k, side].double().numpy() for v in (comparison.vertices, comparison.true_vertices))
            predicted_root, true_root = (
                regress_joints(predicted, hand_model, side)[0],
                regress_joints(true, hand_model, side)[0],
            )
            if read.truth.vertices_known[k, side]:
                hands.append(np.linalg.norm((predicted - predicted_root) - (true - true_root), axis=-1).mean() * 1000)
            shift = comparison.relative_translation[k].double().numpy() if side else 0
            true_shift = comparison.true_relative_translation[k].double().numpy() if side else 0
            placed.append((predicted + shift) - (true + true_shift))
        if read.truth.vertices_known[k].all():
            pairs.append(np.linalg.norm(np.concatenate(placed), axis=-1).mean() * 1000)
    assert metrics.mpvpe == pytest.approx(np.mean(hands), rel=1e-5)
    assert metrics.rrve == pytest.approx(np.mean(pairs), rel=1e-5)


def aligned_errors(case, hand_model, root: int) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]:
    """Errors in mm of 21 joints and of the vertices, by image and side, for fitted hands of interacting images."""
    comparison, read = case
    errors = {}
    for k in range(COUNT):
        for side in range(2):
            if int(read.category[k]) != INTERACTING or not read.truth.vertices_known[k, side]:
                continue
            predicted, true = (v[k, side].double().numpy() for v in (comparison.vertices, comparison.true_vertices))
            predicted_joints, true_joints = (
                regress_joints(predicted, hand_model, side),
                regress_joints(true, hand_model, side),
            )
            bone = [np.linalg.norm(joints[9] - joints[0]) for joints in (true_joints, predicted_joints)]
            scale = bone[0] / bone[1]

            def distances(points, true_points, scale=scale, a=predicted_joints, b=true_joints):
                return np.linalg.norm(scale * (points - a[root]) - (true_points - b[root]), axis=-1) * 1000

            errors[k, side] = (distances(predicted_joints, true_joints), distances(predicted, true))
    assert len(errors) == 15  # eight pairs, one hand not fitted
    return errors


def test_intershape(case, hand_model):
    """Aligned at the middle MCP; mean of each joint of each side over the images, then over the joints."""
    errors = aligned_errors(case, hand_model, 9)
    by_joint = [np.mean([e[0][j] for (_, s), e in errors.items() if s == side]) for side in range(2) for j in range(21)]
    metrics = compute_metrics(INTERSHAPE, case, hand_model)
    assert metrics.mpjpe == pytest.approx(np.mean(by_joint), rel=1e-5)
    assert metrics.mpvpe == pytest.approx(np.mean([vertices.mean() for _, vertices in errors.values()]), rel=1e-5)


@pytest.mark.parametrize(("protocol", "root"), [(INTAGHAND, 9), (DIR_MCP, 9), (DIR_WRIST, 0), (LGNET, 0)])
def test_intaghand_and_successors(case, hand_model, protocol, root):
    """Mean of each side over its joints, then (left + right) / 2; scaled by the bone to the MCP for any root."""
    errors = aligned_errors(case, hand_model, root)
    sides = [[e for (_, s), e in errors.items() if s == side] for side in range(2)]
    metrics = compute_metrics(protocol, case, hand_model)
    joints = [np.mean([e[0].mean() for e in side]) for side in sides]
    vertices = [np.mean([e[1].mean() for e in side]) for side in sides]
    assert metrics.mpjpe == pytest.approx(np.mean(joints), rel=1e-5)
    assert metrics.mpvpe == pytest.approx(np.mean(vertices), rel=1e-5)
    assert metrics.images == 8


def test_protocols_differ(case, hand_model):
    """The same predictions have different results under different protocols."""
    metrics = {p: compute_metrics(p, case, hand_model) for p in PUBLISHED_PROTOCOLS}
    joints = [metrics[p].mpjpe for p in (INTERNET, INTERWILD, INTAGHAND, DIR_WRIST)]
    vertices = [metrics[p].mpvpe for p in (INTERWILD, INTERSHAPE, INTAGHAND, DIR_WRIST)]
    for values in (joints, vertices):
        assert len({round(value, 3) for value in values}) == len(values)
    # Fitted hands have all joints, so the order of averaging matters for the vertices only.
    assert metrics[INTERSHAPE].mpjpe == pytest.approx(metrics[INTAGHAND].mpjpe, rel=1e-9)
    assert metrics[DIR_MCP] == metrics[INTAGHAND]
    assert metrics[LGNET] == metrics[DIR_WRIST]


def test_no_data_is_nan(hand_model):
    metrics = PublishedProtocolScore(INTERSHAPE, hand_model, hand_model).compute()
    assert math.isnan(metrics.mpjpe)
    assert math.isnan(metrics.mrrpe)
    assert metrics.images == 0
