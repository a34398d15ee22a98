"""Shape components, pose correctives and the prior over finger poses, from the hand population and random poses."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lgnet_core.hand_model import anatomy

from .rig import CHAINS, THUMB
from .skinning import PARENTS, dual_quaternion_blend, forward_kinematics, linear_blend, transform_points

Array = NDArray[np.float64]

SHAPE_COMPONENTS = 10
CORRECTIVE_POSES = 1500
PRIOR_POSES = 20000
PRIOR_COEFFICIENTS = 256  # rows of hands_coeffs: sample poses in the basis of hands_components
FULL_CURL = ((80.0, 95.0, 55.0), (28.0, 35.0, 50.0))  # degrees of flexion of a closed finger and a closed thumb
FAN = (14.0, 2.0, -16.0, -9.0, 15.0)  # degrees of abduction of the spread fingers, in chain order
MIN_INFLUENCE = 0.01  # minimum skinning weight for a bone to influence a vertex
RIDGE = 0.3


def shape_components(vertices: Array) -> tuple[Array, float]:
    """Principal components of the population, scaled to unit variance, positive = longer hand.

    Returns:
        shapedirs (V, 3, 10) metres per unit of beta; the explained fraction of the variance.
    """
    mean = vertices.mean(0)
    _, scale, rows = np.linalg.svd((vertices - mean).reshape(len(vertices), -1), full_matrices=False)
    components = rows[:SHAPE_COMPONENTS] * scale[:SHAPE_COMPONENTS, None] / np.sqrt(len(vertices))
    components = components.reshape(SHAPE_COMPONENTS, -1, 3)
    longer = -(mean[:, 0] @ components[:, :, 0].T)  # fingers lie along -x
    components *= np.where(longer > 0, -1.0, 1.0)[:, None, None]
    explained = (scale[:SHAPE_COMPONENTS] ** 2).sum() / (scale**2).sum()
    return components.transpose(1, 2, 0), float(explained)


def sample_plausible_angles(count: int, rng: np.random.Generator) -> Array:
    """Random finger angles (count, 16, 3) of free hands, from open to closed, within the joint limits; radians.

    The curl of each finger is a common value of the hand plus its own deviation; the more a finger is flexed, the less
    it is spread. The thumb opposes with the curl.
    """
    limits = anatomy.JOINT_LIMITS
    curl = rng.beta(0.9, 1.3, (count, 1)) + rng.normal(0, 0.12, (count, 5))  # chain order, the thumb last
    curl = np.clip(curl, 0, 1)
    spread = rng.normal(0.3, 0.5, (count, 1)) * (1 - curl)
    angles = rng.normal(0, 0.06, (count, 16, 3)) * (limits[..., 1] - limits[..., 0])
    for f, (chain, fan) in enumerate(zip(CHAINS, FAN)):
        angles[:, chain : chain + 3, anatomy.FLEXION] += curl[:, f, None] * np.radians(FULL_CURL[chain == THUMB])
        angles[:, chain, anatomy.ABDUCTION] += spread[:, f] * np.radians(fan)
    return np.clip(angles, limits[..., 0], limits[..., 1])


def _rotations(angles: Array, frames: Array) -> Array:
    return anatomy.angles_to_rotations(torch.from_numpy(angles), anatomy.Side.RIGHT, torch.from_numpy(frames)).numpy()


def pose_prior(frames: Array) -> tuple[Array, Array, Array]:
    """hands_mean (45,), hands_components (45, 45) as rows by falling variance, hands_coeffs (256, 45), axis-angle."""
    rotations = _rotations(sample_plausible_angles(PRIOR_POSES, np.random.default_rng(1)), frames)[:, 1:]
    poses = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_rotvec().reshape(-1, 45)
    mean = poses.mean(0)
    centred = poses - mean
    components = np.linalg.eigh(centred.T @ centred)[1][:, ::-1].T
    flexion = frames[1:, anatomy.FLEXION + 1].reshape(45)
    # Positive coefficients flex the fingers.
    components = components * np.where(components @ flexion < 0, -1.0, 1.0)[:, None]
    return mean, components, (centred @ components.T)[:PRIOR_COEFFICIENTS]


def pose_correctives(vertices: Array, joints: Array, weights: Array, frames: Array) -> tuple[Array, float]:
    """Pose correctives that make linear blend skinning approximate dual-quaternion skinning, local to each vertex.

    Ridge regression of the difference of both skinnings on R - I of the joints between the bones of the vertex.

    Shapes:
        vertices: (V, 3); joints: (16, 3); weights: (V, 16); frames: (16, 3, 3).

    Returns:
        posedirs (V, 3, 135); the fraction of the RMS difference that they explain on held-out poses.
    """
    limits = anatomy.JOINT_LIMITS
    rng = np.random.default_rng(2)
    within = rng.uniform(limits[..., 0], limits[..., 1], (CORRECTIVE_POSES // 2, 16, 3))
    angles = np.concatenate([within, sample_plausible_angles(CORRECTIVE_POSES - len(within), rng)])
    rotations = _rotations(angles, frames)
    features = (rotations[:, 1:] - np.eye(3)).reshape(len(angles), -1)  # (M, 135)
    gap = np.empty((len(angles), len(vertices), 3))
    bases = np.empty((len(angles), len(vertices), 3, 3))
    for i, pose in enumerate(rotations):
        orientations, translations, _ = forward_kinematics(pose, joints)
        blended = linear_blend(orientations, translations, weights)
        bases[i] = blended[0]
        target = transform_points(dual_quaternion_blend(orientations, translations, weights), vertices)
        gap[i] = target - transform_points(blended, vertices)

    fitted = np.arange(len(angles)) % 5 > 0
    posedirs = np.zeros((len(vertices), 3, features.shape[1]))
    for v, row in enumerate(weights):
        follows = row > MIN_INFLUENCE
        if follows.sum() < 2:
            continue
        bending = [j for j in range(1, 16) if follows[j] or any(follows[k] for k in range(16) if PARENTS[k] == j)]
        columns = np.concatenate([np.arange(9 * (j - 1), 9 * j) for j in bending])
        # The posed correction is B (D x): linear in D, with rows B_ac x_k.
        rows = np.einsum("mac,mk->mack", bases[fitted, v], features[fitted][:, columns]).reshape(-1, 3 * len(columns))
        solution = np.linalg.solve(rows.T @ rows + RIDGE * np.eye(rows.shape[1]), rows.T @ gap[fitted, v].reshape(-1))
        posedirs[v][:, columns] = solution.reshape(3, -1)
    correction = np.einsum("vck,mk->mvc", posedirs, features[~fitted], optimize=True)
    residual = gap[~fitted] - np.einsum("mvac,mvc->mva", bases[~fitted], correction)
    explained = 1 - np.sqrt((residual**2).mean() / (gap[~fitted] ** 2).mean())
    return posedirs, float(explained)
