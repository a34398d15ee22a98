"""Vertex normals and padding."""

from __future__ import annotations

import numpy as np

from lgnet_core.geometry.normals import padded, vertex_normals
from lgnet_core.hand_model import HandModel
from lgnet_core.types import Side

SQUARE = np.array([[10.0, 10, 1], [50, 10, 1], [50, 40, 1], [10, 40, 1]])
FACES = np.array([[0, 2, 1], [0, 3, 2]])


def test_normals_of_a_plane():
    np.testing.assert_allclose(vertex_normals(SQUARE, FACES), np.tile([0.0, 0, -1], (4, 1)), atol=1e-12)


def test_normals_are_those_of_trimesh(hand_model: HandModel):
    import trimesh

    vertices, faces = hand_model.v_template[Side.LEFT].double().numpy(), hand_model.faces[Side.LEFT].numpy()
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    expected = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(expected, faces[:, k], mesh.face_normals * areas[:, None])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vertex_normals(vertices, faces), expected, atol=1e-9)


def test_padding_of_a_ball_is_a_larger_ball():
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.05)
    grown = padded(np.asarray(ball.vertices), np.asarray(ball.faces), 0.01)
    np.testing.assert_allclose(np.linalg.norm(grown, axis=1), 0.06, atol=1e-5)
    assert padded(ball.vertices, ball.faces, 0.0) is ball.vertices
