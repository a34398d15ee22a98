"""Sparse joint regressors: every joint a convex combination of skin vertices near it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]

SUPPORT = 150  # nearest vertices a joint may use
ROUNDS = 15
EVENNESS = 2e-3  # metres; ridge that spreads a row over a ring of vertices instead of three that fit by chance
SUM_WEIGHT = 1e3  # makes the rows' sums one


def fit_regressor(vertices: Array, joints: Array) -> Array:
    r"""Rows w >= 0, sum w = 1, that minimise max_i |w V_i - J_i| over samples i (reweighted least squares).

    Samples far off gain weight round by round (Lawson's rule w_i <- w_i e_i); the round with the least maximum is kept.

    Shapes:
        vertices: (N, V, 3) metres; joints: (N, J, 3) metres.
        returns: (J, V), at most `SUPPORT` non-zeros in a row.
    """
    mean = vertices.mean(0)
    regressor = np.zeros((joints.shape[1], vertices.shape[1]))
    for j in range(joints.shape[1]):
        near = np.argsort(np.linalg.norm(mean - joints[:, j].mean(0), axis=1), kind="stable")[:SUPPORT]
        offsets = vertices[:, near] - joints[:, j, None]  # with sum w = 1 the residual is w @ offsets
        regressor[j, near] = _minimax_weights(offsets)
    return regressor


def _minimax_weights(offsets: Array) -> Array:
    count, support, _ = offsets.shape
    emphasis = np.ones(count)
    best, least = np.zeros(support), np.inf
    for _ in range(ROUNDS):
        gram = np.einsum("n,nkc,nlc->kl", emphasis / count, offsets, offsets, optimize=True)
        root = np.linalg.cholesky(gram + EVENNESS**2 * np.eye(support)).T
        system = np.concatenate([root, np.full((1, support), SUM_WEIGHT)])
        weights, _ = nnls(system, np.append(np.zeros(support), SUM_WEIGHT), maxiter=50 * support)
        weights[weights < 1e-3] = 0
        weights /= weights.sum()
        error = np.linalg.norm(np.einsum("k,nkc->nc", weights, offsets), axis=1)
        if error.max() < least:
            best, least = weights, error.max()
        emphasis *= error / error.mean() + 1e-3
        emphasis /= emphasis.mean()
    return best


def regressor_errors(regressor: Array, vertices: Array, joints: Array) -> Array:
    """Distances |w V - J| of every sample and joint, (N, J) metres."""
    return np.linalg.norm(np.einsum("jv,nvc->njc", regressor, vertices, optimize=True) - joints, axis=-1)
