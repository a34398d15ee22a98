"""The bundled hand: MANO's format and vertex ids, mesh quality, joint regression, shape and pose components."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import lgnet_core.hand_model

ASSET = Path(lgnet_core.hand_model.__file__).parent / "assets" / "hand_right.npz"
WRIST_LOOP = [92, 38, 122, 118, 117, 119, 120, 108, 79, 78, 121, 214, 215, 279, 239, 234]
TIPS = {"index": (317, 320), "middle": (443, 444, 445), "pinky": (671, 672, 673), "ring": (554, 555, 556)}
LAYOUT = {
    "v_template": ((778, 3), np.float32),
    "shapedirs": ((778, 3, 10), np.float32),
    "posedirs": ((778, 3, 135), np.float32),
    "J_regressor": ((16, 778), np.float32),
    "weights": ((778, 16), np.float32),
    "kintree_table": ((2, 16), np.int64),
    "f": ((1538, 3), np.uint32),
    "hands_mean": ((45,), np.float32),
    "hands_components": ((45, 45), np.float32),
    "hands_coeffs": ((256, 45), np.float32),
    "J": ((16, 3), np.float32),
    "anatomical_frames": ((16, 3, 3), np.float32),
}


@pytest.fixture(scope="module")
def asset() -> dict[str, np.ndarray]:
    with np.load(ASSET, allow_pickle=False) as stored:
        return dict(stored)


def half_edges(faces: np.ndarray) -> Counter[tuple[int, int]]:
    return Counter((int(f[i]), int(f[(i + 1) % 3])) for f in faces for i in range(3))


def test_layout_matches_mano_and_file_is_small(asset: dict[str, np.ndarray]) -> None:
    for name, (shape, dtype) in LAYOUT.items():
        assert (asset[name].shape, asset[name].dtype) == (shape, dtype), name
        assert np.isfinite(asset[name]).all(), name
    assert ASSET.stat().st_size <= 400_000


def test_mesh_is_an_outward_oriented_disc_open_at_the_wrist(asset: dict[str, np.ndarray]) -> None:
    vertices, faces = asset["v_template"].astype(np.float64), asset["f"].astype(np.int64)
    halves = half_edges(faces)
    assert max(halves.values()) == 1  # oriented manifold
    boundary = {a: b for a, b in halves if (b, a) not in halves}
    assert [boundary[v] for v in WRIST_LOOP] == WRIST_LOOP[1:] + WRIST_LOOP[:1]
    assert len(boundary) == len(WRIST_LOOP)
    edges = (len(halves) + len(boundary)) // 2
    assert len(vertices) - edges + len(faces) == 1  # Euler: a disc
    corners = vertices[faces] - vertices[WRIST_LOOP].mean(0)  # so that the fan that closes the wrist adds no volume
    volume = np.linalg.det(corners).sum() / 6
    assert 150e-6 < volume < 600e-6  # cubic metres; a hand holds 0.3 to 0.4 litres
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    assert areas.min() > 1e-8


def test_rest_pose_is_in_mano_axes(asset: dict[str, np.ndarray]) -> None:
    """Fingers along -x, thumb side +z, hand length of an adult."""
    vertices, joints = asset["v_template"], asset["J"]
    assert np.linalg.norm(vertices[444] - joints[0]) == pytest.approx(0.187, abs=0.005)
    for finger in (1, 4, 7, 10):
        assert (joints[finger] - joints[0])[0] < -0.06
    assert joints[1, 2] > joints[4, 2] > joints[10, 2] > joints[7, 2]
    assert joints[15, 2] > joints[1, 2]  # the thumb
    assert vertices[745, 1] < joints[0, 1]  # on the palm side, -y


def test_public_tip_ids_are_fingertips(asset: dict[str, np.ndarray]) -> None:
    for ids in TIPS.values():
        chain_joint = int(asset["weights"][ids[0]].argmax())
        own = np.flatnonzero(asset["weights"][:, chain_joint] > 0.9)
        foremost = asset["v_template"][own, 0].min()
        assert (asset["v_template"][list(ids), 0] < foremost + 6e-3).all()
    for thumb in (744, 745):
        assert asset["weights"][thumb].argmax() == 15
        assert np.linalg.norm(asset["v_template"][thumb] - asset["J"][15]) > 0.02
    assert asset["tip_vertices"].tolist() == [745, 317, 444, 556, 673]


def test_weights_and_regressor_are_sparse_convex_rows(asset: dict[str, np.ndarray]) -> None:
    for rows, max_nonzeros in ((asset["weights"], 4), (asset["J_regressor"], 150)):
        assert (rows >= 0).all()
        np.testing.assert_allclose(rows.sum(1), 1, atol=1e-5)
        assert ((rows > 0).sum(1) <= max_nonzeros).all()
    np.testing.assert_allclose(asset["J_regressor"] @ asset["v_template"], asset["J"], atol=1e-6)


def test_joints_move_with_the_shape(asset: dict[str, np.ndarray]) -> None:
    """Regressed joints keep their position relative to the surrounding skin, within 1.5 mm over 800 hand shapes.

    Independent reference: the joint of the mean hand, mapped by the best similarity of its 40 nearest vertices.
    """
    shapes = np.random.default_rng(0).normal(size=(800, 10))
    template, regressor = asset["v_template"].astype(np.float64), asset["J_regressor"].astype(np.float64)
    vertices = template + np.einsum("nk,vck->nvc", shapes, asset["shapedirs"].astype(np.float64))
    joints = np.einsum("jv,nvc->njc", regressor, vertices)
    rest = regressor @ template
    for j in range(16):
        nearest = np.argsort(np.linalg.norm(template - rest[j], axis=1))[:40]
        expected = [_similarity(template[nearest], v[nearest], rest[j]) for v in vertices]
        error = np.linalg.norm(joints[:, j] - np.array(expected), axis=1)
        assert error.max() <= 1.5e-3, f"joint {j}: {1000 * error.max():.2f} mm"


def _similarity(source: np.ndarray, target: np.ndarray, point: np.ndarray) -> np.ndarray:
    """`point` mapped by the least-squares similarity source -> target. Source: Umeyama, 1991."""
    s, t = source - source.mean(0), target - target.mean(0)
    u, singular, vt = np.linalg.svd(t.T @ s)
    flip = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    scale = (singular * flip).sum() / (s**2).sum()
    return scale * (u * flip) @ vt @ (point - source.mean(0)) + target.mean(0)


def test_shape_components_are_ordered_and_first_is_size(asset: dict[str, np.ndarray]) -> None:
    shapedirs = asset["shapedirs"].astype(np.float64).reshape(-1, 10)
    scale = np.linalg.norm(shapedirs, axis=0)
    assert (np.diff(scale) <= 1e-9).all()
    cosines = (shapedirs / scale).T @ (shapedirs / scale)
    np.testing.assert_allclose(cosines, np.eye(10), atol=1e-4)
    taller = asset["v_template"] + 2 * asset["shapedirs"][:, :, 0]
    growth = np.linalg.norm(taller[444] - asset["J_regressor"][0] @ taller) / 0.187
    assert 1.08 < growth < 1.25


def test_pose_prior_is_an_orthonormal_basis(asset: dict[str, np.ndarray]) -> None:
    components = asset["hands_components"].astype(np.float64)
    np.testing.assert_allclose(components @ components.T, np.eye(45), atol=1e-5)
    spread = asset["hands_coeffs"].std(0)
    assert spread[0] == spread.max()
