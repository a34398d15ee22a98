"""Conversion of MakeHuman's relaxed hands to a population of flat hands with MANO's vertex count and order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from .anny_source import RawHand
from .mesh_operations import Decimator, boundary_loop, loop_subdivision
from .regressor import fit_regressor
from .rig import (
    CHAINS,
    THUMB,
    WRIST,
    fingertips,
    hand_frame,
    mano_joints,
    mano_weights,
    smoothstep,
    unit,
)
from .skinning import dual_quaternion_blend, forward_kinematics, transform_points

Array = NDArray[np.float64]

VERTICES, WRIST_EDGES = 778, 16
HAND_LENGTH = 0.187  # wrist to middle fingertip of the mean hand, metres
SIZE_SPREAD = 0.065  # relative standard deviation of the hand length over human adults
# MakeHuman's fingers are thinner than people's. Mean changes across the bones, from the base to the tip; with
# them the mean hand has about the joints of British adults (Pheasant and Haslegrave, "Bodyspace"; mean of both sexes,
# scaled to HAND_LENGTH; breadth x depth): index finger's PIP 20.0 x 18.0 mm, thumb's IP 21.5 x 20.5 mm.
FINGER_WIDENING = (0.07, 0.11, 0.15)
THUMB_WIDENING = (0.08, 0.2, 0.24)
ORIGIN_TO_WRIST = np.array([0.0957, 0.0064, 0.0062])  # wrist position in MANO's files, for similar coordinate ranges
MAX_INFLUENCES = 4

# MANO's public vertex ids: fingertips with two neighbours (chain order) and the loop around the wrist. The outermost
# vertex gets the id used by manopth and most evaluation code, its neighbours those used by smplx.
TIP_SLOTS = ((317, 320, 333), (444, 443, 445), (673, 671, 672), (556, 554, 555), (745, 744, 746))
WRIST_SLOTS = (92, 38, 122, 118, 117, 119, 120, 108, 79, 78, 121, 214, 215, 279, 239, 234)


class HandPopulation(NamedTuple):
    """Flat right hands in the rest frame; the first entry of each `TIP_SLOTS` row is the fingertip. Metres."""

    vertices: Array  # (N, 778, 3)
    joints: Array  # (N, 16, 3)
    weights: Array  # (778, 16)
    faces: NDArray[np.int64]  # (1538, 3)

    @property
    def tips(self) -> list[int]:
        """Fingertip vertices in chain order: index, middle, pinky, ring, thumb."""
        return [slots[0] for slots in TIP_SLOTS]


def build_population(raw: RawHand) -> HandPopulation:
    """Build the population: frame, joints, weights, subdivision, flattening, decimation, vertex order, proportions.

    Deterministic. The joints of a sample are a fixed convex combination of the surrounding skin, fitted to MakeHuman's
    bone heads over the whole population, instead of its own bone heads: these are interpolated independently of the
    skin and drift relative to the cross-section by up to 3 mm, whereas skinning needs a centre fixed in the tissue.
    """
    joints = mano_joints(raw)
    frames = hand_frame(joints)
    wrist = joints[:, :1]
    vertices = np.einsum("nab,nvb->nva", frames, raw.vertices - wrist)
    heads = np.einsum("nab,njb->nja", frames, joints - wrist)
    joints = np.einsum("jv,nvc->njc", fit_regressor(vertices, heads), vertices, optimize=True)

    operator, fine_faces = loop_subdivision(raw.faces, raw.vertices.shape[1])
    weights = operator @ mano_weights(raw, vertices.mean(0), joints.mean(0))
    weights = _sparsify(weights, threshold=1e-4, influences=16)
    vertices = np.stack([operator @ v for v in vertices])

    tips = fingertips(vertices.mean(0), joints.mean(0), weights)
    vertices, joints = _flatten(vertices, joints, weights, tips)
    scale = HAND_LENGTH / np.linalg.norm(vertices.mean(0)[tips[1]] - joints.mean(0)[WRIST])
    vertices, joints = scale * vertices + ORIGIN_TO_WRIST, scale * joints + ORIGIN_TO_WRIST

    mean, mean_joints = vertices.mean(0), joints.mean(0)
    importance = _vertex_importance(mean, mean_joints, weights, tips)
    kept, faces = Decimator(mean, fine_faces, importance, keep=set(tips)).run(VERTICES, WRIST_EDGES)
    tips = [int(np.searchsorted(kept, t)) for t in tips]
    order = _mano_order(mean[kept], faces, tips)
    faces = np.argsort(order)[faces]
    weights = _sparsify(weights[kept][order], threshold=0.004, influences=MAX_INFLUENCES)
    population = HandPopulation(vertices[:, kept][:, order], joints, weights, faces)
    return _randomise_proportions(population, np.random.default_rng(7))


def _sparsify(weights: Array, threshold: float, influences: int) -> Array:
    """Drop weights below `threshold` and all but the `influences` largest of each row; rows sum to 1 again."""
    weights = np.where(weights < threshold, 0, weights)
    smallest = np.sort(weights, axis=1)[:, -influences][:, None]
    weights = np.where(weights < smallest, 0, weights)
    return weights / weights.sum(1, keepdims=True)


def _rotation_between(a: Array, b: Array) -> Array:
    """Minimal rotation matrix from direction a to direction b (not opposite)."""
    a, b = unit(a), unit(b)
    axis = np.cross(a, b)
    angle = np.arctan2(np.linalg.norm(axis), a @ b)
    return Rotation.from_rotvec(axis / (np.linalg.norm(axis) + 1e-12) * angle).as_matrix()


def _flatten(vertices: Array, joints: Array, weights: Array, tips: list[int]) -> tuple[Array, Array]:
    """Straighten the four fingers of every sample by one common pose that keeps three quarters of their spread.

    Uses dual-quaternion skinning to preserve the thickness of the knuckles.
    """
    rotations = np.tile(np.eye(3), (16, 1, 1))
    mean, mean_joints = vertices.mean(0), joints.mean(0)
    for f, chain in enumerate(CHAINS[:4]):
        points = np.concatenate([mean_joints[chain : chain + 3], mean[tips[f]][None]])
        first, second, third = unit(np.diff(points, axis=0))
        spread = 0.75 * np.arctan2(first[2], -first[0])
        base = _rotation_between(first, np.array([-np.cos(spread), -0.03, np.sin(spread)]))
        middle = _rotation_between(second, 0.98 * first + 0.02 * second)
        rotations[chain], rotations[chain + 1] = base, middle
        rotations[chain + 2] = _rotation_between(third, 0.95 * second + 0.05 * third)
    flat_vertices, flat_joints = np.empty_like(vertices), np.empty_like(joints)
    for i in range(len(vertices)):
        orientations, translations, flat_joints[i] = forward_kinematics(rotations, joints[i])
        flat_vertices[i] = transform_points(dual_quaternion_blend(orientations, translations, weights), vertices[i])
    return flat_vertices, flat_joints


def _vertex_importance(vertices: Array, joints: Array, weights: Array, tips: list[int]) -> Array:
    """Importance of each vertex for decimation: fingertips over fingers over palm, similar to MANO's vertex density."""
    importance = 0.6 + 2.5 * smoothstep(1 - weights[:, WRIST] - weights[:, THUMB], 0.3, 0.9)
    for f, chain in enumerate(CHAINS):
        axis = unit(joints[chain + 2] - joints[chain + 1])
        reach = np.linalg.norm(vertices[tips[f]] - joints[chain + 2])
        along = (vertices - joints[chain + 2]) @ axis / reach
        importance += 9 * weights[:, chain + 2] * smoothstep(along, 0.45, 0.8)
    return importance


def _mano_order(vertices: Array, faces: NDArray[np.int64], tips: list[int]) -> NDArray[np.int64]:
    """order[slot] = vertex, with MANO's public ids in their slots and all others ordered from wrist to tips."""
    slots: dict[int, int] = {}
    for f, (tip_slot, *near_slots) in enumerate(TIP_SLOTS):
        slots[tip_slot] = tips[f]
        nearest = np.argsort(np.linalg.norm(vertices - vertices[tips[f]], axis=1), kind="stable")
        slots.update(zip(near_slots, nearest[1:3].tolist()))
    slots.update(zip(WRIST_SLOTS, boundary_loop(faces, start=vertices[:, 2])))
    taken = set(slots.values())
    rest = np.lexsort((vertices[:, 2].round(3), -vertices[:, 0].round(2)))
    remaining = iter([v for v in rest.tolist() if v not in taken])
    return np.array([slots[s] if s in slots else next(remaining) for s in range(VERTICES)])


def _randomise_proportions(population: HandPopulation, rng: np.random.Generator) -> HandPopulation:
    """Apply random sizes, with the variation of adults, and random lengths and widths of each finger and the palm.

    Every bone segment is stretched by l along its bone and by t across it about its joint; offsets propagate to the
    child bones and are blended by the skinning weights. The mean of t corrects MakeHuman's thin fingers.
    """
    vertices, joints, weights = population.vertices.copy(), population.joints.copy(), population.weights
    tips = population.tips
    mean_wrist = joints.mean(0)[WRIST]
    lengths = np.linalg.norm(vertices[:, tips[1]] - joints[:, WRIST], axis=1)
    for i in range(len(vertices)):
        size = HAND_LENGTH / lengths[i] * np.clip(rng.normal(1, SIZE_SPREAD), 0.8, 1.2)
        rest = (vertices[i] - joints[i, WRIST]) * size + mean_wrist
        centres = (joints[i] - joints[i, WRIST]) * size + mean_wrist
        all_fingers, palm_width = rng.normal(0, 0.03), rng.normal(0, 0.035)
        palm = np.diag([0, 0.6 * palm_width, palm_width])
        change = weights[:, WRIST, None] * ((rest - centres[WRIST]) @ palm)
        moved = centres.copy()
        for f, chain in enumerate(CHAINS):
            length = all_fingers + rng.normal(0, 0.03)
            thickness = rng.normal(0, 0.03) + rng.normal(0, 0.03)
            widening = THUMB_WIDENING if chain == THUMB else FINGER_WIDENING
            offset = palm @ (centres[chain] - centres[WRIST])
            for j, mean_thickness in zip(range(chain, chain + 3), widening):
                bone = (centres[j + 1] if j < chain + 2 else rest[tips[f]]) - centres[j]
                along = np.outer(unit(bone), unit(bone))
                stretch = length * along + (mean_thickness + thickness) * (np.eye(3) - along)
                moved[j] = centres[j] + offset
                change += weights[:, j, None] * ((rest - centres[j]) @ stretch + offset)
                offset = offset + length * bone
        vertices[i], joints[i] = rest + change, moved
    return population._replace(vertices=vertices, joints=joints)
