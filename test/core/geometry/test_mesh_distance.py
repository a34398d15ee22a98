"""Distance of triangle surfaces, against brute-force enumeration of all pairs of triangles."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lgnet_core.geometry.mesh_distance import surface_distance
from lgnet_core.hand_model import HandModel
from lgnet_core.hand_model.anatomy import angles_to_rotations
from lgnet_core.hand_model.finger_poses import preset
from lgnet_core.synthetic.scene.capsules import CapsuleHandModel
from lgnet_core.types import Side

SEEDS = st.integers(0, 2**16)
FACETS = [
    c for n in (1, 2, 3) for c in itertools.combinations(range(3), n)
]  # corners, edges and the face of a triangle


def triangles_distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N,) distances of triangles (N, 3, 3): minimum over all pairs of facets whose closest points lie inside both.

    The optimum of a convex problem lies inside one of these pairs, so none is missed.
    """
    best = np.full(len(first), np.inf)
    for one, two in itertools.product(FACETS, FACETS):
        base = first[:, one[0]] - second[:, two[0]]  # (N, 3)
        axes = [first[:, k] - first[:, one[0]] for k in one[1:]] + [second[:, two[0]] - second[:, k] for k in two[1:]]
        weights = np.zeros((len(first), 0))
        if axes:
            matrix = np.stack(axes, -1)  # (N, 3, 0 to 4)
            weights = -(np.linalg.pinv(matrix) @ base[..., None])[..., 0]
            base = base + (matrix @ weights[..., None])[..., 0]
        inside = (weights > -1e-12).all(1)
        for part in (weights[:, : len(one) - 1], weights[:, len(one) - 1 :]):
            inside &= part.sum(1) < 1 + 1e-12
        distance = np.linalg.norm(base, axis=1)
        best = np.where(inside, np.minimum(best, distance), best)
    return best


def reference_distance(a, faces_a, b, faces_b) -> float:
    """The minimum over all pairs of triangles whose bounding spheres are within an upper bound."""
    first, second = a[faces_a], b[faces_b]
    bound = np.sqrt(((a[:, None] - b) ** 2).sum(-1)).min()
    (centre_a, radius_a), (centre_b, radius_b) = (
        (t.mean(1), np.linalg.norm(t - t.mean(1, keepdims=True), axis=-1).max(1)) for t in (first, second)
    )
    apart = np.linalg.norm(centre_a[:, None] - centre_b, axis=-1) - radius_a[:, None] - radius_b
    i, j = np.nonzero(apart <= bound)
    order = apart[i, j].argsort()
    i, j = i[order], j[order]
    for begin in range(0, len(i), 2000):
        if apart[i[begin], j[begin]] > bound:
            break
        part = slice(begin, begin + 2000)
        bound = min(bound, triangles_distance(first[i[part]], second[j[part]]).min())
    return float(bound)


def on_surface(point, vertices, faces) -> bool:
    dot = np.broadcast_to(point, (len(faces), 3, 3))
    near = np.linalg.norm(vertices[faces].mean(1) - point, axis=1) < 0.2
    return triangles_distance(dot[near], vertices[faces][near]).min() < 1e-9


def assert_distance(a, faces_a, b, faces_b, expected: float | None = None) -> float:
    nearest = surface_distance(a, faces_a, b, faces_b)
    expected = reference_distance(a, faces_a, b, faces_b) if expected is None else expected
    assert nearest.distance == pytest.approx(expected, abs=1e-8)
    assert np.linalg.norm(nearest.a - nearest.b) == pytest.approx(nearest.distance, abs=1e-9)
    assert on_surface(nearest.a, a, faces_a)
    assert on_surface(nearest.b, b, faces_b)
    swapped = surface_distance(b, faces_b, a, faces_a)
    assert swapped.distance == pytest.approx(nearest.distance, abs=1e-9)
    return nearest.distance


@given(seed=SEEDS, count=st.integers(1, 6), gap=st.floats(0, 0.3), flat=st.booleans())
def test_random_triangles(seed, count, gap, flat):
    """Disconnected triangles, including thin and coplanar ones."""
    rng = np.random.default_rng(seed)
    meshes = []
    for shift in (0, gap):
        vertices = rng.normal(0, 0.03, (3 * count, 3)) * (rng.random(3) ** 2 + 0.01) + [shift, 0, 0]
        if flat:
            vertices[:, 2] = shift / 3
        meshes += [vertices, np.arange(3 * count).reshape(-1, 3)]
    assert_distance(*meshes)


@given(seed=SEEDS, kind=st.sampled_from(["parallel edges", "touching corner", "touching edges", "pierced", "coplanar"]))
def test_special_configurations(seed, kind):
    turn = Rotation.random(random_state=seed).as_matrix()
    one = np.array([[0, 0, 0], [0.01, 0, 0], [0, 0.01, 0]])
    two, expected = {
        "parallel edges": (one * [1, -1, 1] - [0.002, 0.001, 0], 0.001),
        "touching corner": (np.array([[0.002, 0.003, 0], [0.002, 0, 0.01], [0.003, 0.01, 0.01]]), 0.0),
        "touching edges": (np.array([[0.005, -0.005, 0], [0.005, 0.005, 0], [0.005, 0, 0.01]]) - [0, 0.005, 0], 0.0),
        "pierced": (np.array([[0.002, 0.002, -0.01], [0.002, 0.002, 0.01], [0.02, 0.02, 0.01]]), 0.0),
        "coplanar": (one * 0.2 + [0.002, 0.002, 0], 0.0),
    }[kind]
    face = np.array([[0, 1, 2]])
    assert assert_distance(one @ turn.T, face, two @ turn.T, face) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("line", [[0, 1, 1], [0, 0, 1], [0, 1, 3], [0, 0, 0]])
def test_degenerate_triangles(line):
    """Triangles that are lines or points have no normal."""
    points = np.array([[0.0, 0, 0.01], [0.02, 0.01, 0.01], [0, 0, 0], [0.01, 0.005, 0.01]])
    one = np.array([[-0.01, -0.01, 0], [0.05, 0, 0], [0, 0.05, 0]])
    assert assert_distance(one, np.array([[0, 1, 2]]), points[line], np.array([[0, 1, 2]])) == pytest.approx(
        0.01, abs=1e-9
    )


def palms(hand_model: HandModel, pose: str, gap: float, tilt: float = 0.0, slide: float = 0.0) -> list[np.ndarray]:
    """Two hands of the same finger pose, palm to palm across the plane x = 0 with ``gap`` metres in between."""
    axes = CapsuleHandModel(hand_model).frames.double().numpy()
    meshes: list[np.ndarray] = []
    for side, sign in ((Side.RIGHT, 1.0), (Side.LEFT, -1.0)):
        z = np.array([-sign, 0.0, 0.0])  # palms towards the other hand, fingers up
        x = np.array([0.0, 1.0, 0.0])
        root = Rotation.from_rotvec([0, 0, sign * tilt]).as_matrix() @ np.stack([x, np.cross(z, x), z], 1)
        rotations = angles_to_rotations(preset(pose), side)
        rotations[0] = torch.tensor(root @ axes[side].T)
        with torch.no_grad():
            mesh = hand_model(rotations[None], torch.zeros(1, 10), side=side).wrist_relative()
        vertices = mesh.vertices[0].double().numpy()
        low = (vertices[:, 0] * sign).min()
        vertices += [sign * (gap / 2 - low), sign * slide, 0.5]
        meshes += [vertices, hand_model.faces[side].numpy()]
    return meshes


@pytest.mark.parametrize("pose", ["flat", "fist"])
@pytest.mark.parametrize(
    ("gap", "tilt", "slide"),
    [(0.2, 0.3, 0.0), (0.01, 0.1, 0.013), (1e-3, 0.0, 0.004), (-1e-3, 0.0, 0.0), (-0.02, 0.3, 0.0)],
    ids=["far", "near", "almost-touching", "just-in", "intersecting"],
)
def test_two_hands(hand_model, pose, gap, tilt, slide):
    meshes = palms(hand_model, pose, gap, tilt, slide)
    distance = assert_distance(*meshes)
    assert distance >= max(gap, 0) - 1e-9
    if gap < 0:  # both hands are mirror images and cross the plane of symmetry
        assert distance == 0


@settings(max_examples=4)
@given(seed=SEEDS, shift=st.floats(0, 0.06))
def test_intersecting_hands(hand_model, seed, shift):
    """Fists and flat hands in random orientations, some interlaced: many triangles are close, few are the closest."""
    rng = np.random.default_rng(seed)
    meshes = palms(hand_model, str(rng.choice(["flat", "fist", "relaxed"])), -0.04, rng.uniform(-1, 1), 0.0)
    turned = (meshes[2] - meshes[2].mean(0)) @ Rotation.random(random_state=seed).as_matrix().T
    assert_distance(*meshes[:2], turned + meshes[0].mean(0) + shift * rng.normal(size=3), meshes[3])


def test_coincident_hands(hand_model):
    """Occurs if a network confuses the sides; surfaces that intersect everywhere need no exhaustive search."""
    right, faces_right, *_ = palms(hand_model, "flat", 0.0)
    assert_distance(right, faces_right, right + 1e-4, faces_right, expected=0.0)


@given(seed=SEEDS)
def test_distance_is_invariant_to_rigid_motion(hand_model, seed):
    a, faces_a, b, faces_b = palms(hand_model, "relaxed", 0.015, 0.2)
    turn, shift = Rotation.random(random_state=seed).as_matrix(), np.random.default_rng(seed).normal(0, 1, 3)
    before = surface_distance(a, faces_a, b, faces_b)
    after = surface_distance(a @ turn.T + shift, faces_a, b @ turn.T + shift, faces_b)
    assert after.distance == pytest.approx(before.distance, abs=1e-9)
    np.testing.assert_allclose(after.a, turn @ before.a + shift, atol=1e-6)
    np.testing.assert_allclose(after.b, turn @ before.b + shift, atol=1e-6)


def test_surface_inside_another_has_a_positive_distance():
    """Meshes are surfaces, not solids."""
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))
    faces = np.array([[0, 1, 3], [0, 3, 2], [4, 7, 5], [4, 6, 7], [0, 5, 1], [0, 4, 5], [2, 3, 7], [2, 7, 6],
                      [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]])  # fmt: skip
    assert surface_distance(corners, faces, corners * 0.25, faces).distance == pytest.approx(0.75, abs=1e-9)
