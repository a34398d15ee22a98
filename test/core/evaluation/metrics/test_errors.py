"""The metrics against independent derivations; what is masked does not count, and nothing gives no number."""

from __future__ import annotations

import numpy as np
import pytest
import roma
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from torch import Tensor
from torchmetrics import Metric

from lgnet_core.evaluation.calibration import Calibration
from lgnet_core.evaluation.metrics import (
    MPJPE,
    MPVPE,
    MRRPE,
    PAMPJPE,
    MeanDistance,
    PlacementError,
    PresenceAccuracy,
    procrustes_errors,
)
from lgnet_core.evaluation.pck import PCK
from lgnet_core.evaluation.protocol import MCP_SCALED, PROTOCOLS, WRIST_RAW


def hands(seed: int, count: int = 6, points: int = 21) -> Tensor:
    return 0.1 * torch.randn(count, points, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mask_of(count: int = 6) -> Tensor:
    return torch.arange(count) % 3 != 0


def test_mpjpe_is_the_mean_over_all_joints_of_the_hands_that_count():
    said, true, mask = hands(0), hands(1), mask_of()
    for protocol in PROTOCOLS:
        metric = MPJPE(protocol)
        metric.update(said, true, mask)
        errors = [protocol.errors(said[k], said[k], true[k], true[k]) for k in range(6) if mask[k]]
        assert float(metric.compute()) == pytest.approx(float(torch.stack(errors).mean()))


def test_joints_that_are_masked_leave_their_own_mean_alone():
    """Each joint's mean over what counts of it, then the mean over the joints: not the mean over all that counts."""
    said, true = hands(2, 2), hands(3, 2)
    mask = torch.ones(2, 21, dtype=torch.bool)
    mask[1, 12:] = False
    metric = MPJPE()
    metric.update(said, true, mask)
    errors = WRIST_RAW.errors(said, said, true, true)
    by_joint = [errors[:, j].mean() if j < 12 else errors[0, j] for j in range(21)]
    assert float(metric.compute()) == pytest.approx(float(torch.stack(by_joint).mean()))


def test_mpvpe_of_a_known_shift():
    """A mesh that is 3 mm to the right of its joints' place and 4 mm above it."""
    true, joints = hands(4, points=50), hands(5)
    metric = MPVPE()
    metric.update(true + torch.tensor([0.003, -0.004, 0]), joints, true, joints, mask_of())
    assert float(metric.compute()) == pytest.approx(5)


@pytest.mark.parametrize("seed", range(5))
def test_pa_mpjpe_equals_scipys(seed):
    """Least squares over rotation and scale of the centred hands; the rotation by scipy's orthogonal Procrustes."""
    true = hands(10 + seed, 1)[0].numpy()
    turn = roma.random_rotmat(dtype=torch.float64).numpy()
    said = 1.7 * true @ turn + 0.03 * hands(20 + seed, 1)[0].numpy() + 0.5
    x, y = said - said.mean(0), true - true.mean(0)
    rotation, gain = orthogonal_procrustes(x, y)
    assert np.linalg.det(rotation) > 0  # else scipy's would be a mirror image, which is no similarity here
    fitted = x @ rotation * gain / (x**2).sum()
    expected = 1000 * np.linalg.norm(fitted - y, axis=1).mean()
    metric = PAMPJPE()
    metric.update(torch.from_numpy(said)[None], torch.from_numpy(true)[None], torch.ones(1, dtype=torch.bool))
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-9)
    # scipy's own disparity is the squared residual with the truth scaled to a norm of 1.
    errors = procrustes_errors(torch.from_numpy(said), torch.from_numpy(true)).numpy() / 1000
    assert (errors**2).sum() / (y**2).sum() == pytest.approx(procrustes(true, said)[2], rel=1e-9)


def test_pa_mpjpe_does_not_see_similarities():
    said, true = hands(30), hands(31)
    turns, scales = roma.random_rotmat(6, dtype=torch.float64), torch.linspace(0.3, 3, 6, dtype=torch.float64)
    moved = scales[:, None, None] * (said @ turns) + hands(32, points=1)
    torch.testing.assert_close(procrustes_errors(moved, true), procrustes_errors(said, true))
    torch.testing.assert_close(
        procrustes_errors(true @ turns, true), torch.zeros(6, 21, dtype=torch.float64), atol=1e-9, rtol=0
    )
    mirrored = true * torch.tensor([-1.0, 1, 1])
    assert (procrustes_errors(mirrored, true).mean(-1) > 10).all()


def test_pa_mpjpe_of_some_joints_fits_these_alone():
    said, true = hands(33, 1), hands(34, 1)
    mask = torch.ones(1, 21, dtype=torch.bool)
    mask[0, 15:] = False
    metric = PAMPJPE()
    metric.update(said, true, mask)
    expected = procrustes_errors(said[:, :15], true[:, :15]).mean()
    assert float(metric.compute()) == pytest.approx(float(expected))


def test_mrrpe_worked_out_by_hand():
    """Pairs alone; (30, 40, 0) mm off is 50 mm, exact is 0: 25 mm."""
    true = torch.tensor([[0.2, 0.1, 0.0], [-0.1, 0.0, 0.3], [0.0, 0.0, 0.0]])
    said = true + torch.tensor([[0.03, 0.04, 0.0], [0.0, 0.0, 0.0], [9.0, 9.0, 9.0]])
    metric = MRRPE()
    metric.update(said, true, torch.tensor([True, True, False]))
    assert float(metric.compute()) == pytest.approx(25, abs=1e-4)


def test_mean_distance_counts_pixels_as_they_are():
    metric = MeanDistance()
    metric.update(torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.zeros(2, 2), torch.tensor([True, True]))
    assert float(metric.compute()) == pytest.approx(3)


def test_placement_is_in_parts_of_the_true_depth():
    true = torch.tensor([[0.1, 0.0, 0.5], [0.0, 0.0, 2.0]])
    said = torch.tensor([[0.1, 0.03, 0.54], [0.0, 0.0, 1.9]])
    everywhere = torch.ones(2, dtype=torch.bool)
    place, depth = PlacementError(), PlacementError(depth_only=True)
    place.update(said, true, everywhere)
    depth.update(said, true, everywhere)
    assert float(place.compute()) == pytest.approx((10 + 5) / 2, abs=1e-3)  # (30, 40) mm of 0.5 m; 0.1 of 2 m
    assert float(depth.compute()) == pytest.approx((8 + 5) / 2, abs=1e-3)


def test_presence_counts_every_side():
    metric = PresenceAccuracy()
    metric.update(torch.tensor([[2.0, -1.0], [0.5, 3.0]]), torch.tensor([[True, False], [False, True]]))
    assert float(metric.compute()) == pytest.approx(0.75)


def filled(metric: Metric, part: slice) -> Metric:
    """A metric with some of eight hands in it."""
    said, true, mask = hands(40, 8)[part], hands(41, 8)[part], mask_of(8)[part]
    if isinstance(metric, MPVPE):
        metric.update(said, said, true, true, mask)
    elif isinstance(metric, Calibration):
        metric.update(said[..., 0] - 5, said, true, mask)
    elif isinstance(metric, PresenceAccuracy):
        metric.update(said[..., 0, 0], mask)
    elif isinstance(metric, (MeanDistance, PlacementError)):
        metric.update(said[:, 0], true[:, 0], mask)
    else:
        metric.update(said, true, mask)
    return metric


KINDS = [
    lambda: MPJPE(MCP_SCALED), MPVPE, PAMPJPE, MRRPE, MeanDistance, PlacementError, PresenceAccuracy, PCK, Calibration,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_two_batches_are_one(kind):
    """And two halves that are merged, as processes do it."""
    whole, halves = filled(kind(), slice(0, 8)), filled(kind(), slice(0, 3))
    filled(halves, slice(3, 8))
    torch.testing.assert_close(halves.compute(), whole.compute())
    first, second = filled(kind(), slice(0, 3)), filled(kind(), slice(3, 8))
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), whole.compute())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("error")
def test_nothing_is_no_number(kind):
    """No hand at all, and (but for presence, which is of images) hands that do not count."""
    empty = filled(kind(), slice(0, 0)).compute()
    masked = filled(kind(), slice(0, 1)).compute()  # the first hand of the mask does not count
    for found in (empty, masked) if kind is not PresenceAccuracy else (empty,):
        values = list(found.values()) if isinstance(found, dict) else [found]
        assert all(torch.isnan(value).all() for value in values)


def half_of_all(rank: int, rendezvous: str, out: str) -> None:
    """One of two processes, each with half of the hands; the values that it sees."""
    torch.distributed.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=2)
    halves = (slice(0, 3), slice(3, 8))
    torch.save([filled(kind(), halves[rank]).compute() for kind in KINDS], f"{out}.{rank}")
    torch.distributed.destroy_process_group()


def test_two_processes_are_one(tmp_path):
    torch.multiprocessing.spawn(half_of_all, (str(tmp_path / "meet"), str(tmp_path / "found")), nprocs=2)
    expected = [filled(kind(), slice(0, 8)).compute() for kind in KINDS]
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"found.{rank}"), expected)
