"""GLB files: trimesh and an independent player show each frame's meshes, upright, in metres, on the right side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from support.fixed_hands import two_hands, wrist_relative
from support.glb_player import GlbPlayer

from lgnet_core.io.output import OutputError
from lgnet_core.recording import glb
from lgnet_core.recording.frame import Frame
from lgnet_core.recording.glb_animation import MAX_FRAMES, GlbAnimation, write_glb
from lgnet_core.types import FloatArray, Hand, TwoHands
from lgnet_core.visualization.drawing import SIDE_COLOURS

IMAGE = np.zeros((48, 64, 3), np.uint8)
OPTICAL_TO_WORLD = np.array([1.0, -1.0, -1.0])  # y up, and the camera looks along -z


@pytest.fixture(scope="module")
def hands(hand_model) -> TwoHands:
    return two_hands(hand_model)


def moved(hand: Hand, shift: FloatArray, track_id: int = 1) -> Hand:
    """A hand that is shifted and stretched a little, so that its normals change too."""
    return replace(
        hand, vertices=hand.vertices * [1.0, 1.0 + shift[0], 1.0] + shift, joints=hand.joints + shift, track_id=track_id
    )


def world(vertices: FloatArray) -> FloatArray:
    return vertices * OPTICAL_TO_WORLD


def test_trimesh_opens_both_hands_of_an_image(tmp_path, hands):
    """Vertices, units, sides, winding, normals and colours."""
    write_glb(tmp_path / "a.glb", hands)
    scene = trimesh.load_scene(tmp_path / "a.glb")
    assert sorted(scene.graph.nodes_geometry) == ["hand_left", "hand_right"]
    everything = world(np.concatenate([hand.vertices for hand in hands.hands]))
    np.testing.assert_allclose(scene.bounds, [everything.min(0), everything.max(0)], atol=1e-6)
    for hand in hands.hands:
        transform, name = scene.graph[f"hand_{hand.side.label}"]
        mesh = scene.geometry[name]
        vertices = trimesh.transform_points(mesh.vertices, transform)
        assert np.linalg.det(transform[:3, :3]) == pytest.approx(1)
        np.testing.assert_allclose(vertices, world(hand.vertices), atol=1e-6)
        np.testing.assert_array_equal(mesh.faces, hand.faces)
        expected = trimesh.Trimesh(world(hand.vertices), hand.faces, process=False)
        normals = mesh.vertex_normals @ transform[:3, :3].T
        weighted = expected.faces_sparse @ (expected.face_normals * expected.area_faces[:, None])
        area_weighted = weighted / np.linalg.norm(weighted, axis=1, keepdims=True)
        np.testing.assert_allclose(normals, area_weighted, atol=1e-4)
        outward = trimesh.Trimesh(vertices, mesh.faces, process=False)
        outward.fill_holes()  # the wrist
        assert outward.volume > 1e-4, "cubic metres; inside out it would be negative"
        linear = np.asarray(mesh.visual.material.baseColorFactor) / 255
        srgb = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        np.testing.assert_allclose(srgb[:3] * 255, SIDE_COLOURS[hand.side], atol=4)
    right, left = (scene.graph[f"hand_{side}"][0][0, 3] for side in ("right", "left"))
    assert right == left, "one origin for both"


def test_normals_are_those_of_the_mesh(tmp_path, hands):
    write_glb(tmp_path / "a.glb", hands)
    shown = GlbPlayer(tmp_path / "a.glb").at(0)
    for vertices, faces, normals in shown.values():
        corners = vertices[faces]
        weighted = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        expected = np.zeros_like(vertices)
        for k in range(3):
            np.add.at(expected, faces[:, k], weighted)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(normals, expected, atol=2e-4)


def test_without_a_camera_both_hands_are_in_the_frame_of_the_right_wrist(tmp_path, hands):
    write_glb(tmp_path / "a.glb", wrist_relative(hands))
    shown = GlbPlayer(tmp_path / "a.glb").at(0)
    wrist = hands.right.joints[0]
    for hand in hands.hands:
        np.testing.assert_allclose(shown[f"hand_{hand.side.label}"][0], world(hand.vertices - wrist), atol=1e-6)


def test_a_file_is_removed_with_its_hands(tmp_path, hands):
    write_glb(tmp_path / "a.glb", hands)
    write_glb(tmp_path / "a.glb", TwoHands(None, None, None, True))
    write_glb(tmp_path / "a.glb", TwoHands(None, None, None, True))
    assert not list(tmp_path.iterdir())


def timeline(hands: TwoHands) -> list[tuple[float, TwoHands]]:
    """Frames at uneven times: the left hand comes late, goes, and comes again as another track; both go at the end."""
    frames = []
    for k in range(14):
        shift = np.array([0.002 * k, -0.003 * k, 0.01 * k])
        left = None if k < 3 or k in (6, 7) else moved(hands.left, -shift, 1 + (k > 7))
        right = moved(hands.right, shift, 1 + (k > 10))
        frames.append((5 + 0.1 * k + 0.03 * (k % 2), TwoHands(right, left, None, True)))
    return [(4.9, TwoHands(None, None, None, True)), *frames, (6.5, TwoHands(None, None, None, True))]


def record(path, frames):
    with GlbAnimation(path) as animation:
        for k, (time, hands) in enumerate(frames):
            animation.add(Frame(k, time, IMAGE, hands))


@pytest.mark.parametrize("limit", [3, MAX_FRAMES])
def test_an_animation_shows_the_hands_of_every_frame(tmp_path, monkeypatch, hands, limit):
    """Also where a mesh is divided, with the hands of a frame shown until the next one where they go."""
    monkeypatch.setattr("lgnet_core.recording.glb_animation.MAX_FRAMES", limit)
    frames = timeline(hands)
    record(tmp_path / "a.glb", frames)
    player = GlbPlayer(tmp_path / "a.glb")
    for time, expected in frames:
        shown = player.at(time - frames[0][0] + 1e-4)
        assert set(shown) == {f"hand_{hand.side.label}" for hand in expected.hands}
        for hand in expected.hands:
            vertices, faces, normals = shown[f"hand_{hand.side.label}"]
            np.testing.assert_allclose(vertices, world(hand.vertices), atol=1e-4)  # moved on for 0.1 ms
            np.testing.assert_array_equal(faces, hand.faces)
            expected_normals = trimesh.Trimesh(vertices, faces, process=False).face_normals
            assert (np.einsum("fi,fi->f", normals[faces].mean(1), expected_normals) > 0.3).mean() > 0.99
    (before, first), (after, second) = frames[1], frames[2]
    middle = player.at((before + after) / 2 - frames[0][0])["hand_right"][0]
    np.testing.assert_allclose(middle, world((first.right.vertices + second.right.vertices) / 2), atol=1e-6)


def test_trimesh_shows_the_first_frame_with_hands_of_an_animation(tmp_path, monkeypatch, hands):
    monkeypatch.setattr("lgnet_core.recording.glb_animation.MAX_FRAMES", 3)
    frames = timeline(hands)
    record(tmp_path / "a.glb", frames)
    scene = trimesh.load_scene(tmp_path / "a.glb")
    vertices = world(frames[1][1].right.vertices)
    np.testing.assert_allclose(scene.bounds, [vertices.min(0), vertices.max(0)], atol=1e-6)


def test_an_interrupted_animation_is_complete_until_then(tmp_path, hands):
    frames = timeline(hands)

    def interrupted():
        with GlbAnimation(tmp_path / "a.glb") as animation:
            for k, (time, found) in enumerate(frames[:4]):
                animation.add(Frame(k, time, IMAGE, found))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    shown = GlbPlayer(tmp_path / "a.glb").at(frames[3][0] - frames[0][0])
    np.testing.assert_allclose(shown["hand_right"][0], world(frames[3][1].right.vertices), atol=1e-6)


def test_a_video_without_hands_gives_an_empty_scene(tmp_path):
    record(tmp_path / "a.glb", [(0.0, TwoHands(None, None, None, True))])
    assert trimesh.load_scene(tmp_path / "a.glb").is_empty


def test_errors_name_the_file(tmp_path, monkeypatch, hands):
    with pytest.raises(OutputError, match=r"nowhere/a\.glb: no such file or directory"):
        write_glb(tmp_path / "nowhere" / "a.glb", hands)
    monkeypatch.setattr(glb, "_MAX_BYTES", 10_000)
    with pytest.raises(OutputError, match=r"a\.glb: .*allows 4 GB; record fewer frames"):
        write_glb(tmp_path / "a.glb", hands)
    assert not list(tmp_path.iterdir())
