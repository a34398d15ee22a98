"""Anatomy: directions of flexion and abduction, joint limits, and presets without self-penetration."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lgnet_core.hand_model import HandModel, anatomy, finger_poses
from lgnet_core.types import Side

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
TIPS = {anatomy.THUMB: 0, anatomy.INDEX: 1, anatomy.MIDDLE: 2, anatomy.RING: 3, anatomy.PINKY: 4}
MIRROR = torch.tensor([-1.0, 1.0, 1.0])
SKIN_FOLD = 4e-3  # vertices this close to another segment at rest belong to the skin fold between both
MAX_DEPTH = 1e-3


def angles_within_limits() -> st.SearchStrategy[torch.Tensor]:
    def draw(seed: int) -> torch.Tensor:
        low, high = torch.from_numpy(anatomy.JOINT_LIMITS).float().unbind(-1)
        return low + (high - low) * torch.rand(16, 3, generator=torch.Generator().manual_seed(seed))

    return st.integers(0, 2**31 - 1).map(draw)


def pose_hand(hand_model: HandModel, angles: torch.Tensor, side: Side = Side.RIGHT) -> torch.Tensor:
    """Vertices (778, 3) of the posed mean hand."""
    rotations = anatomy.angles_to_rotations(angles[None], side)
    return hand_model(rotations, torch.zeros(1, 10), torch.zeros(1, 3), side=side).vertices[0]


class Segments:
    """The hand split into 16 segments by dominant skinning weight, each closed by triangle fans.

    Depth of self-penetration: distance of the vertices of one segment inside the closed surface of another (generalised
    winding number above 1/2) to the skin of the latter. Excluded are segments that share a joint, where linear blend
    skinning folds, and vertices within `SKIN_FOLD` of the other segment in the rest pose (webs between the fingers).
    """

    def __init__(self, hand_model: HandModel) -> None:
        rest = hand_model.v_template[Side.RIGHT].numpy()
        faces = hand_model.faces[Side.RIGHT].numpy()
        segment = hand_model.weights[Side.RIGHT].numpy().argmax(1)
        owner = np.array([np.bincount(segment[face]).argmax() for face in faces])
        self.skin = [faces[owner == j] for j in range(16)]
        self.cuts = [_open_loops(part) for part in self.skin]
        self.tested = {}
        for j in range(16):
            for k in range(16):
                if j == k or PARENTS[j] == k or PARENTS[k] == j:
                    continue
                own = np.flatnonzero(segment == j)
                self.tested[j, k] = own[_distance(rest[own], rest[self.skin[k]]) > SKIN_FOLD]

    def depths(self, vertices: np.ndarray) -> dict[tuple[int, int], float]:
        """Maximum depth (metres) of segment j inside segment k, for intersecting pairs."""
        depths = {}
        for k, (skin, cuts) in enumerate(zip(self.skin, self.cuts)):
            caps = [[vertices[b], vertices[a], vertices[loop[:, 0]].mean(0)] for loop in cuts for a, b in loop]
            closed = np.concatenate([vertices[skin], np.array(caps).reshape(-1, 3, 3)])
            low, high = closed.min((0, 1)), closed.max((0, 1))
            for j in range(16):
                points = vertices[self.tested.get((j, k), np.empty(0, int))]
                points = points[((points > low) & (points < high)).all(1)]
                inside = points[_winding_number(points, closed) > 0.5]
                if len(inside):
                    depths[j, k] = float(_distance(inside, vertices[skin]).max())
        return depths


def _open_loops(faces: np.ndarray) -> list[np.ndarray]:
    """Boundary half-edges (n, 2) of a patch, one array per connected boundary."""
    halves = {(int(f[i]), int(f[i - 2])) for f in faces for i in range(3)}
    remaining = {(a, b) for a, b in halves if (b, a) not in halves}
    loops = []
    while remaining:
        loop = [remaining.pop()]
        reached = set(loop[0])
        while touching := [edge for edge in remaining if reached & set(edge)]:
            remaining -= set(touching)
            loop += touching
            reached |= {v for edge in touching for v in edge}
        loops.append(np.array(loop))
    return loops


def _winding_number(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """1 inside a closed surface, 0 outside. Source: van Oosterom and Strackee, 1983 (solid angle of a triangle)."""
    a, b, c = (triangles[None, :, i] - points[:, None] for i in range(3))
    la, lb, lc = (np.linalg.norm(x, axis=-1) for x in (a, b, c))
    volume = (a * np.cross(b, c)).sum(-1)
    spread = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return np.arctan2(volume, spread).sum(1) / (2 * np.pi)


def _distance(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Distance of each point to the nearest triangle: to its plane if the projection lies inside, else to its edges."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    height = np.abs(((points[:, None] - a) * normal).sum(-1))
    inside = np.ones_like(height, dtype=bool)
    nearest = np.full_like(height, np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        edge, offset = end - start, points[:, None] - start
        inside &= (np.cross(edge, offset) * normal).sum(-1) >= 0
        along = np.clip((offset * edge).sum(-1) / (edge * edge).sum(-1), 0, 1)[..., None]
        nearest = np.minimum(nearest, np.linalg.norm(offset - along * edge, axis=-1))
    return np.where(inside, height, nearest).min(1)


@pytest.fixture(scope="module")
def segments(hand_model: HandModel) -> Segments:
    return Segments(hand_model)


def test_anatomical_frames_are_rotations_aligned_with_the_bones(hand_model: HandModel) -> None:
    frames = torch.from_numpy(anatomy.anatomical_frames())
    assert_close(frames @ frames.mT, torch.eye(3).expand(16, 3, 3), atol=1e-5, rtol=0)
    assert_close(torch.linalg.det(frames), torch.ones(16), atol=1e-5, rtol=0)
    joints = hand_model.J_regressor[Side.RIGHT] @ hand_model.v_template[Side.RIGHT]
    for j, parent in enumerate(PARENTS):
        if parent > 0:
            bone = torch.nn.functional.normalize(joints[j] - joints[parent], dim=0)
            assert frames[parent, 0] @ bone > 0.999


@pytest.mark.parametrize("chain", [anatomy.INDEX, anatomy.MIDDLE, anatomy.RING, anatomy.PINKY])
def test_flexion_bends_towards_the_palm_and_abduction_towards_the_thumb(hand_model: HandModel, chain: int) -> None:
    tip = hand_model.tip_vertices[TIPS[chain]]
    rest = hand_model.v_template[Side.RIGHT][tip]
    for s in range(3):
        angles = torch.zeros(16, 3)
        angles[chain + s, anatomy.FLEXION] = 0.3
        assert (pose_hand(hand_model, angles)[tip] - rest)[1] < -3e-3  # the palm faces -y
    angles = torch.zeros(16, 3)
    angles[chain, anatomy.ABDUCTION] = 0.2
    assert (pose_hand(hand_model, angles)[tip] - rest)[2] > 5e-3  # the thumb's side is +z


def test_thumb_flexion_moves_it_across_the_palm(hand_model: HandModel) -> None:
    tip = hand_model.tip_vertices[0]
    pinky_knuckle = (hand_model.J_regressor[Side.RIGHT] @ hand_model.v_template[Side.RIGHT])[anatomy.PINKY]
    before = (hand_model.v_template[Side.RIGHT][tip] - pinky_knuckle).norm()
    for joint in range(anatomy.THUMB, anatomy.THUMB + 3):
        angles = torch.zeros(16, 3)
        angles[joint, anatomy.FLEXION] = 0.4
        assert (pose_hand(hand_model, angles)[tip] - pinky_knuckle).norm() < before - 2e-3


@given(angles=angles_within_limits())
def test_angles_give_rotations_and_leave_the_wrist(angles: torch.Tensor) -> None:
    both = anatomy.angles_to_rotations(angles.expand(2, 16, 3))
    assert_close(both @ both.mT, torch.eye(3).expand(2, 16, 3, 3), atol=1e-5, rtol=0)
    assert_close(torch.linalg.det(both), torch.ones(2, 16), atol=1e-5, rtol=0)
    assert_close(both[:, 0], torch.eye(3).expand(2, 3, 3))
    for side in Side:
        assert_close(anatomy.angles_to_rotations(angles, side), both[side])


@given(angles=angles_within_limits())
def test_same_angles_give_mirror_image_hands(hand_model: HandModel, angles: torch.Tensor) -> None:
    right, left = (pose_hand(hand_model, angles, side) for side in Side)
    assert_close(left * MIRROR, right, atol=1e-6, rtol=0)


def test_flexion_rotates_about_the_flexion_axis() -> None:
    """A single flexion of 0.7 rad is a rotation by 0.7 rad about the flexion axis."""
    for joint in range(1, 16):
        angles = torch.zeros(16, 3, dtype=torch.float64)
        angles[joint, anatomy.FLEXION] = 0.7
        rotation = anatomy.angles_to_rotations(angles, Side.RIGHT)[joint]
        axis = torch.from_numpy(anatomy.anatomical_frames())[joint, 1].double()
        assert_close(rotation @ axis, axis, atol=1e-6, rtol=0)
        assert torch.arccos((rotation.trace() - 1) / 2).item() == pytest.approx(0.7, abs=1e-6)


def test_gradients_of_the_angles() -> None:
    angles = torch.full((2, 16, 3), 0.1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(anatomy.angles_to_rotations, angles, fast_mode=True)


@pytest.mark.parametrize(
    ("joint", "breadth", "depth"), [(anatomy.INDEX + 1, 20.0, 18.0), (anatomy.THUMB + 2, 21.5, 20.5)]
)
def test_fingers_are_as_thick_as_people_s(hand_model: HandModel, joint: int, breadth: float, depth: float) -> None:
    """PIP of the index finger and IP of the thumb, mm: British adults (Pheasant and Haslegrave, "Bodyspace")."""
    vertices = hand_model.v_template[Side.RIGHT].numpy().astype(float)
    bone, flexion, abduction = anatomy.anatomical_frames()[joint].astype(float)
    offsets = vertices - (hand_model.J_regressor[Side.RIGHT].numpy() @ vertices)[joint]
    along = offsets @ bone
    finger = hand_model.weights[Side.RIGHT][:, joint - 1 : joint + 1].sum(1).numpy() > 0.5
    cut = [  # of the edges with the plane across the joint
        offsets[i] + along[i] / (along[i] - along[j]) * (offsets[j] - offsets[i])
        for face in hand_model.faces[Side.RIGHT].numpy()
        for i, j in ((face[0], face[1]), (face[1], face[2]), (face[2], face[0]))
        if along[i] * along[j] < 0 and finger[i] and finger[j]
    ]
    across = np.ptp(np.array(cut) @ np.stack([flexion, abduction], 1), axis=0) * 1000
    assert across == pytest.approx([breadth, depth], rel=0.08)


@pytest.mark.parametrize("name", finger_poses.preset_names())
def test_preset_is_within_the_joint_limits(name: str) -> None:
    low, high = torch.from_numpy(anatomy.JOINT_LIMITS).float().unbind(-1)
    angles = finger_poses.preset(name)
    assert ((angles >= low - 1e-6) & (angles <= high + 1e-6)).all()


@pytest.mark.parametrize("name", finger_poses.preset_names())
def test_preset_has_no_self_penetration(hand_model: HandModel, segments: Segments, name: str) -> None:
    depths = segments.depths(pose_hand(hand_model, finger_poses.preset(name)).numpy())
    too_deep = {pair: round(1000 * depth, 2) for pair, depth in depths.items() if depth > MAX_DEPTH}
    assert not too_deep, f"depth in mm by (segment, inside segment): {too_deep}"


def test_penetration_is_detected(hand_model: HandModel, segments: Segments) -> None:
    """The thumb pushed through the bent index finger is reported with a depth of millimetres."""
    angles = finger_poses.preset("pinch")
    angles[anatomy.INDEX + 1, anatomy.FLEXION] += 0.5
    depths = segments.depths(pose_hand(hand_model, angles).numpy())
    assert max((d for (j, k), d in depths.items() if {j, k} & {14, 15}), default=0.0) > 2e-3


@pytest.mark.parametrize("name", ["pinch", "ok"])
def test_pinch_brings_the_fingertips_together(hand_model: HandModel, name: str) -> None:
    """The tip vertices of thumb and index, not just any skin, are within 3 mm of each other."""
    vertices = pose_hand(hand_model, finger_poses.preset(name))
    thumb, index = hand_model.tip_vertices[:2]
    assert (vertices[thumb] - vertices[index]).norm() <= 3e-3


def test_unknown_preset_error_lists_the_names() -> None:
    with pytest.raises(KeyError, match="pinch"):
        finger_poses.preset("horns")
