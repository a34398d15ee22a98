"""Error metrics against independent derivations; masks, empty input, batches and processes."""

from __future__ import annotations

import numpy as np
import pytest
import roma
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from support.metric_samples import KINDS, compute_half, hands, mask_of, updated

from lgnet_core.evaluation.metrics.alignment import ALIGNMENTS, WRIST_RAW
from lgnet_core.evaluation.metrics.errors import (
    CSMPJPE,
    MPJPE,
    MPVPE,
    MRRPE,
    PAMPJPE,
    PAMPVPE,
    MeanDistance,
    PlacementError,
    PresenceAccuracy,
    procrustes_errors,
)


def test_mpjpe_is_mean_over_unmasked_hands():
    predicted, true, mask = hands(0), hands(1), mask_of()
    for alignment in ALIGNMENTS:
        metric = MPJPE(alignment)
        metric.update(predicted, true, mask)
        errors = [alignment.errors(predicted[k], predicted[k], true[k], true[k]) for k in range(6) if mask[k]]
        assert float(metric.compute()) == pytest.approx(float(torch.stack(errors).mean()))


def test_masked_joints_affect_only_their_own_mean():
    """The mean of each joint over its unmasked hands, then the mean over the joints."""
    predicted, true = hands(2, 2), hands(3, 2)
    mask = torch.ones(2, 21, dtype=torch.bool)
    mask[1, 12:] = False
    metric = MPJPE()
    metric.update(predicted, true, mask)
    errors = WRIST_RAW.errors(predicted, predicted, true, true)
    by_joint = [errors[:, j].mean() if j < 12 else errors[0, j] for j in range(21)]
    assert float(metric.compute()) == pytest.approx(float(torch.stack(by_joint).mean()))


def test_mpvpe_of_known_translation():
    """A mesh displaced from its joints by 3 mm to the right and 4 mm up."""
    true, joints = hands(4, points=50), hands(5)
    metric = MPVPE()
    metric.update(true + torch.tensor([0.003, -0.004, 0]), joints, true, joints, mask_of())
    assert float(metric.compute()) == pytest.approx(5)


@pytest.mark.parametrize("seed", range(5))
def test_pa_mpjpe_equals_scipy(seed):
    """Least squares over rotation and scale of the centred hands, with scipy's orthogonal Procrustes."""
    true = hands(10 + seed, 1)[0].numpy()
    rotation_ = roma.random_rotmat(dtype=torch.float64).numpy()
    predicted = 1.7 * true @ rotation_ + 0.03 * hands(20 + seed, 1)[0].numpy() + 0.5
    x, y = predicted - predicted.mean(0), true - true.mean(0)
    rotation, gain = orthogonal_procrustes(x, y)
    assert np.linalg.det(rotation) > 0  # otherwise scipy's solution would be a reflection
    fitted = x @ rotation * gain / (x**2).sum()
    expected = 1000 * np.linalg.norm(fitted - y, axis=1).mean()
    metric = PAMPJPE()
    metric.update(torch.from_numpy(predicted)[None], torch.from_numpy(true)[None], torch.ones(1, dtype=torch.bool))
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-9)
    # scipy's disparity is the squared residual with the true hand scaled to a norm of 1.
    errors = procrustes_errors(torch.from_numpy(predicted), torch.from_numpy(true)).numpy() / 1000
    assert (errors**2).sum() / (y**2).sum() == pytest.approx(procrustes(true, predicted)[2], rel=1e-9)


def test_pa_mpvpe_equals_scipy_over_the_vertices():
    true, predicted = hands(50, 3, points=60), hands(51, 3, points=60)
    predicted = true * 1.2 + 0.1 * predicted
    errors = []
    for x, y in zip(predicted[:2].numpy(), true[:2].numpy()):
        x, y = x - x.mean(0), y - y.mean(0)
        rotation, gain = orthogonal_procrustes(x, y)
        errors.append(np.linalg.norm(x @ rotation * gain / (x**2).sum() - y, axis=1))
    metric = PAMPVPE()
    metric.update(predicted, true, torch.tensor([True, True, False]))
    assert float(metric.compute()) == pytest.approx(1000 * np.mean(errors), rel=1e-9)


def test_cs_mpjpe_aligns_nothing():
    """Hands displaced by 30 mm, 40 mm: 50 mm, however well their shape is known; masked joints do not count."""
    true, known = hands(52), torch.ones(6, 21, dtype=torch.bool)
    displaced = true + torch.tensor([0.03, 0, 0.04])
    displaced[2, 5] += 1.0
    known[2, 5] = False
    metric = CSMPJPE()
    metric.update(displaced, true, known)
    assert float(metric.compute()) == pytest.approx(50)


def test_pa_mpjpe_is_invariant_to_similarities():
    predicted, true = hands(30), hands(31)
    rotations, scales = roma.random_rotmat(6, dtype=torch.float64), torch.linspace(0.3, 3, 6, dtype=torch.float64)
    transformed = scales[:, None, None] * (predicted @ rotations) + hands(32, points=1)
    torch.testing.assert_close(procrustes_errors(transformed, true), procrustes_errors(predicted, true))
    torch.testing.assert_close(
        procrustes_errors(true @ rotations, true), torch.zeros(6, 21, dtype=torch.float64), atol=1e-9, rtol=0
    )
    mirrored = true * torch.tensor([-1.0, 1, 1])
    assert (procrustes_errors(mirrored, true).mean(-1) > 10).all()


def test_pa_mpjpe_is_fitted_to_unmasked_joints():
    predicted, true = hands(33, 1), hands(34, 1)
    mask = torch.ones(1, 21, dtype=torch.bool)
    mask[0, 15:] = False
    metric = PAMPJPE()
    metric.update(predicted, true, mask)
    expected = procrustes_errors(predicted[:, :15], true[:, :15]).mean()
    assert float(metric.compute()) == pytest.approx(float(expected))


def test_mrrpe_calculated_by_hand():
    """Pairs only; errors of 50 mm and 0 mm have a mean of 25 mm."""
    true = torch.tensor([[0.2, 0.1, 0.0], [-0.1, 0.0, 0.3], [0.0, 0.0, 0.0]])
    predicted = true + torch.tensor([[0.03, 0.04, 0.0], [0.0, 0.0, 0.0], [9.0, 9.0, 9.0]])
    metric = MRRPE()
    metric.update(predicted, true, torch.tensor([True, True, False]))
    assert float(metric.compute()) == pytest.approx(25, abs=1e-4)


def test_mean_distance_of_pixels():
    metric = MeanDistance()
    metric.update(torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.zeros(2, 2), torch.tensor([True, True]))
    assert float(metric.compute()) == pytest.approx(3)


def test_placement_error_is_relative_to_true_depth():
    true = torch.tensor([[0.1, 0.0, 0.5], [0.0, 0.0, 2.0]])
    predicted = torch.tensor([[0.1, 0.03, 0.54], [0.0, 0.0, 1.9]])
    all_hands = torch.ones(2, dtype=torch.bool)
    distance, depth = PlacementError(), PlacementError(depth_only=True)
    distance.update(predicted, true, all_hands)
    depth.update(predicted, true, all_hands)
    assert float(distance.compute()) == pytest.approx((10 + 5) / 2, abs=1e-3)  # (30, 40) mm of 0.5 m; 0.1 of 2 m
    assert float(depth.compute()) == pytest.approx((8 + 5) / 2, abs=1e-3)


def test_presence_accuracy():
    metric = PresenceAccuracy()
    metric.update(torch.tensor([[2.0, -1.0], [0.5, 3.0]]), torch.tensor([[True, False], [False, True]]))
    assert float(metric.compute()) == pytest.approx(0.75)


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_accumulate_and_merge(kind):
    """Two batches, and two merged states, equal one batch."""
    whole, halves = updated(kind(), slice(0, 8)), updated(kind(), slice(0, 3))
    updated(halves, slice(3, 8))
    torch.testing.assert_close(halves.compute(), whole.compute())
    first, second = updated(kind(), slice(0, 3)), updated(kind(), slice(3, 8))
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), whole.compute())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("error")
def test_no_data_is_nan(kind):
    """Without hands, and with masked hands only (except presence, which has no mask)."""
    empty = updated(kind(), slice(0, 0)).compute()
    masked = updated(kind(), slice(0, 1)).compute()  # the first hand is masked
    for result in (empty, masked) if kind is not PresenceAccuracy else (empty,):
        values = list(result.values()) if isinstance(result, dict) else [result]
        assert all(torch.isnan(value).all() for value in values)


def test_metrics_synchronise_between_processes(tmp_path):
    torch.multiprocessing.spawn(compute_half, (str(tmp_path / "meet"), str(tmp_path / "found")), nprocs=2)
    expected = [updated(kind(), slice(0, 8)).compute() for kind in KINDS]
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"found.{rank}"), expected)
