"""Sparse joint regressors: each joint is a convex combination of nearby skin vertices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]

MAX_SUPPORT = 150  # number of nearest vertices that a joint may depend on
ITERATIONS = 15
RIDGE_SCALE = 2e-3  # metres; ridge that distributes weights over a ring of vertices, against overfitting to a few
SUM_WEIGHT = 1e3  # weight of the constraint that rows sum to one


def fit_regressor(vertices: Array, joints: Array) -> Array:
    r"""Rows w >= 0, sum w = 1, that minimise max_i |w V_i - J_i| over samples i (reweighted least squares).

    Sample weights grow with their errors in each iteration (Lawson's rule w_i <- w_i e_i); the iteration with the
    smallest maximum error is returned.

    Shapes:
        vertices: (N, V, 3) metres; joints: (N, J, 3) metres.
        returns: (J, V), at most `MAX_SUPPORT` non-zeros in a row.
    """
    mean = vertices.mean(0)
    regressor = np.zeros((joints.shape[1], vertices.shape[1]))
    for j in range(joints.shape[1]):
        near = np.argsort(np.linalg.norm(mean - joints[:, j].mean(0), axis=1), kind="stable")[:MAX_SUPPORT]
        offsets = vertices[:, near] - joints[:, j, None]  # with sum w = 1 the residual is w @ offsets
        regressor[j, near] = _minimax_weights(offsets)
    return regressor


def _minimax_weights(offsets: Array) -> Array:
    count, support, _ = offsets.shape
    sample_weights = np.ones(count)
    best, smallest = np.zeros(support), np.inf
    for _ in range(ITERATIONS):
        gram = np.einsum("n,nkc,nlc->kl", sample_weights / count, offsets, offsets, optimize=True)
        root = np.linalg.cholesky(gram + RIDGE_SCALE**2 * np.eye(support)).T
        system = np.concatenate([root, np.full((1, support), SUM_WEIGHT)])
        weights, _ = nnls(system, np.append(np.zeros(support), SUM_WEIGHT), maxiter=50 * support)
        weights[weights < 1e-3] = 0
        weights /= weights.sum()
        error = np.linalg.norm(np.einsum("k,nkc->nc", weights, offsets), axis=1)
        if error.max() < smallest:
            best, smallest = weights, error.max()
        sample_weights *= error / error.mean() + 1e-3
        sample_weights /= sample_weights.mean()
    return best


def regressor_errors(regressor: Array, vertices: Array, joints: Array) -> Array:
    """Distances |w V - J| of every sample and joint, (N, J) metres."""
    return np.linalg.norm(np.einsum("jv,nvc->njc", regressor, vertices, optimize=True) - joints, axis=-1)
