"""One model's hands as another's: the same for the same model, bones parallel, lengths met, sides mirrored.

Targets are the bundled hand made different: turned, scaled, with bent fingers at rest, with other proportions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.bones import BONES, TIPS, directions, random_rotations

from lgnet_core.hand_model import HandAsset, HandModel, read_asset
from lgnet_core.hand_model.layer import BUNDLED_ASSET
from lgnet_core.inference.retarget import Retarget
from lgnet_core.types import Hand, Side, TwoHands

MILLIMETRE = 1e-3
SEEDS = st.integers(0, 2**20)
MIRROR = np.array([-1.0, 1.0, 1.0])


def deformed(asset: HandAsset, turns: np.ndarray, scale: float = 1.0, shift: np.ndarray | float = 0.0) -> HandAsset:
    """The hand with every vertex, and what shape and pose do to it, turned by its own rotation (778, 3, 3)."""
    turns = turns.astype(np.float32)
    local = asset.posedirs.reshape(778, 3, 15, 3, 3)  # features turn with the joints, here as the vertex does
    local = np.einsum("vab,vbjkl,vmk,vnl->vajmn", turns, local, turns, turns).reshape(778, 3, 135)
    return replace(
        asset,
        v_template=(scale * np.einsum("vab,vb->va", turns, asset.v_template) + shift).astype(np.float32),
        shapedirs=scale * np.einsum("vab,vbk->vak", turns, asset.shapedirs),
        posedirs=scale * local,
    )


def turned(asset: HandAsset) -> HandAsset:
    turn = Rotation.from_rotvec([0.7, -1.9, 0.4]).as_matrix()
    return deformed(asset, np.broadcast_to(turn, (778, 3, 3)), shift=np.array([0.1, -0.02, 0.3]))


def scaled(asset: HandAsset) -> HandAsset:
    return deformed(asset, np.broadcast_to(np.eye(3), (778, 3, 3)), scale=1.1)


def bent(asset: HandAsset) -> HandAsset:
    """At rest the fingers are bent as the bundled hand's are in a relaxed pose; shape directions follow the skin."""
    model = HandModel(asset)
    rotations = random_rotations(4, 16, spread=0.2)
    rotations[0] = np.eye(3)
    with torch.inference_mode():
        mesh = model(torch.tensor(rotations[None]).float(), torch.zeros(1, 10), side=Side.RIGHT)
    to_camera = rotations.copy()
    for joint, parent in enumerate((-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)):
        if joint:
            to_camera[joint] = to_camera[parent] @ rotations[joint]
    blended = np.einsum("vj,jab->vab", asset.weights, to_camera)
    return replace(deformed(asset, blended), v_template=mesh.vertices[0].numpy())


def grown(asset: HandAsset) -> HandAsset:
    """Other proportions: the template moved by smooth waves of about 2 mm."""
    random = np.random.default_rng(0)
    waves, phases = random.normal(0, 25, (32, 3)), random.uniform(0, 2 * np.pi, 32)
    field = np.sin(asset.v_template @ waves.T + phases) @ random.normal(0, 0.25, (32, 3))
    return replace(asset, v_template=(asset.v_template + 2 * MILLIMETRE * field).astype(np.float32))


MADE = {"turned": turned, "scaled": scaled, "bent": bent, "grown": grown}


@pytest.fixture(scope="module")
def retargets(hand_model) -> dict[str, Retarget]:
    asset = read_asset(BUNDLED_ASSET)
    return {"same": Retarget(hand_model, hand_model)} | {
        name: Retarget(hand_model, HandModel(make(asset))) for name, make in MADE.items()
    }


def hands(hand_model: HandModel, seed: int, count: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rotations, shapes, wrist-relative vertices and joints of random pairs of hands, in any orientation."""
    rotations = random_rotations(seed, count, 2, 16, spread=0.3)
    rotations[:, :, 0] = random_rotations(seed + 1, count, 2, spread=2.0)
    shape = np.random.default_rng(seed).normal(0, 1, (count, 2, 10))
    with torch.inference_mode():
        mesh = hand_model(torch.tensor(rotations).float(), torch.tensor(shape).float()).wrist_relative()
    return rotations, shape, mesh.vertices.double().numpy(), mesh.joints.double().numpy()


def lengths(joints: np.ndarray) -> np.ndarray:
    """(..., 15) metres: wrist to knuckles, and the bones between two joints of a finger."""
    ends = [1, 5, 9, 13, 17, *BONES]
    starts = [0] * 5 + [end - 1 for end in BONES]
    return np.linalg.norm(joints[..., ends, :] - joints[..., starts, :], axis=-1)


def fingers_bend(joints: np.ndarray) -> np.ndarray:
    """(..., 5) radians between the first and the second bone of each finger."""
    bones = directions(joints)
    return np.arccos((bones[..., 1::4, :] * bones[..., 2::4, :]).sum(-1))


@given(seed=SEEDS)
def test_the_same_model_gives_the_same_hand(hand_model, retargets, seed):
    rotations, shape, vertices, joints = hands(hand_model, seed)
    found = retargets["same"](rotations, shape, joints)
    np.testing.assert_allclose(found.vertices, vertices, atol=2e-5)
    np.testing.assert_allclose(found.joints, joints, atol=2e-5)
    np.testing.assert_allclose(found.wrist, 0, atol=2e-5)
    np.testing.assert_allclose(found.rotations, rotations, atol=1e-3)
    np.testing.assert_allclose(found.shape, shape, atol=0.02)


@given(seed=SEEDS)
def test_a_turned_template_gives_the_same_hand(hand_model, retargets, seed):
    """A model with other axes: the mesh is the same, its rotations differ."""
    rotations, shape, vertices, joints = hands(hand_model, seed)
    found = retargets["turned"](rotations, shape, joints)
    np.testing.assert_allclose(found.vertices, vertices, atol=1e-4)
    np.testing.assert_allclose(found.joints, joints, atol=1e-4)
    assert np.abs(found.rotations - rotations).max() > 0.1


@pytest.mark.parametrize("name", MADE)
@given(seed=SEEDS)
def test_bones_stay_parallel_and_bends_the_same(hand_model, retargets, name, seed):
    rotations, shape, _, joints = hands(hand_model, seed)
    found = retargets[name](rotations, shape, joints)
    parallel = (directions(found.joints) * directions(joints)).sum(-1)
    between_joints = [joint - 1 for joint in BONES]
    assert parallel[..., between_joints].min() > np.cos(1e-3)
    np.testing.assert_allclose(fingers_bend(found.joints), fingers_bend(joints), atol=1e-3)
    to_tips = [joint - 1 for joint in TIPS]  # vertices: the skin moves them a little against their bone
    assert parallel[..., to_tips].min() > np.cos(np.radians(6))


@pytest.mark.parametrize("name", ["turned", "scaled", "bent"])
@given(seed=SEEDS)
def test_lengths_are_met_where_the_shapes_can(hand_model, retargets, name, seed):
    rotations, shape, _, joints = hands(hand_model, seed)
    found = retargets[name](rotations, shape, joints)
    tolerance = 2 * MILLIMETRE if name == "bent" else 0.3 * MILLIMETRE  # bent: its joints are other means of the skin
    np.testing.assert_allclose(lengths(found.joints), lengths(joints), atol=tolerance)


def test_lengths_are_nearer_than_with_the_mean_shape(hand_model, retargets):
    """Also with proportions that no shape of the target has."""
    rotations, shape, _, joints = hands(hand_model, 0, count=16)
    retarget = retargets["grown"]
    found = retarget(rotations, shape, joints)
    with torch.inference_mode():
        mean = retarget.target(torch.tensor(rotations).float(), torch.zeros(16, 2, 10)).joints.numpy()
    error, uncorrected = (np.abs(lengths(x) - lengths(joints)).mean() for x in (found.joints, mean))
    assert error < 0.5 * uncorrected
    assert np.abs(found.shape).max() < 10


@pytest.mark.parametrize("name", ["same", *MADE])
@given(seed=SEEDS)
def test_sides_are_mirror_images(hand_model, retargets, name, seed):
    rotations, shape, _, joints = hands(hand_model, seed, count=1)
    swapped = rotations[:, ::-1] * (MIRROR[:, None] * MIRROR)
    retarget = retargets[name]
    one = retarget(rotations, shape, joints)
    two = retarget(swapped, shape[:, ::-1], joints[:, ::-1] * MIRROR)
    np.testing.assert_allclose(two.vertices[:, ::-1] * MIRROR, one.vertices, atol=1e-5)
    np.testing.assert_allclose(two.shape[:, ::-1], one.shape, atol=1e-3)
    for side in Side:
        alone = retarget(rotations[:, side], shape[:, side], joints[:, side], side)
        np.testing.assert_allclose(alone.vertices, one.vertices[:, side], atol=1e-6)


@given(seed=SEEDS)
def test_the_refined_joints_decide(hand_model, retargets, seed):
    """Where they lie elsewhere than the rough ones, bones, lengths and the mean of the joints follow them."""
    rotations, shape, _, _ = hands(hand_model, seed)
    other, near = random_rotations(seed + 5, 2, 2, 16, spread=0.05), 0.2
    with torch.inference_mode():
        mesh = hand_model(torch.tensor(rotations @ other).float(), torch.tensor(shape + near).float())
    refined = mesh.joints.double().numpy()
    found = retargets["same"](rotations, shape, refined)
    relative = refined - refined[..., :1, :]
    between_joints = [joint - 1 for joint in BONES]
    parallel = (directions(found.joints) * directions(refined)).sum(-1)[..., between_joints]
    assert parallel.min() > np.cos(1e-3)
    np.testing.assert_allclose(lengths(found.joints), lengths(refined), atol=0.3 * MILLIMETRE)
    np.testing.assert_allclose((found.joints + found.wrist[..., None, :]).mean(-2), relative.mean(-2), atol=1e-7)


@pytest.mark.parametrize("metric", [True, False])
def test_hands_of_a_image(hand_model, retargets, metric):
    rotations, shape, vertices, joints = hands(hand_model, 8, count=1)
    places = np.array([[0.1, 0.0, 0.5], [-0.05, 0.02, 0.6]])
    retarget = retargets["grown"]
    made = [
        Hand(
            side=side,
            presence=0.9,
            joints=joints[0, side] + metric * places[side],
            vertices=vertices[0, side] + metric * places[side],
            faces=hand_model.faces[side].numpy(),
            joints_2d=np.full((21, 2), 5.0),
            joint_std=np.full(21, 0.01),
            rotations=rotations[0, side],
            shape=shape[0, side],
        )
        for side in Side
    ]
    found = retarget.hands(TwoHands(*made, relative_translation=places[1] - places[0], metric=metric))
    for before, after in zip(made, found.hands):
        with torch.inference_mode():
            parameters = (torch.tensor(x[None]).float() for x in (after.rotations, after.shape))
            surface = retarget.target(*parameters, side=after.side).wrist_relative()
        np.testing.assert_allclose(after.vertices - after.joints[0], surface.vertices[0], atol=1e-6)
        np.testing.assert_allclose(after.joints - after.joints[0], surface.joints[0], atol=1e-6)
        assert (after.side, after.presence) == (before.side, before.presence)
        np.testing.assert_array_equal(after.joints_2d, before.joints_2d)
        if metric:
            np.testing.assert_allclose(after.joints.mean(0), before.joints.mean(0), atol=1e-7)
        else:
            np.testing.assert_allclose(after.joints[0], 0, atol=1e-12)
    wrists = retarget(rotations, shape, joints).wrist[0]
    expected = places[1] - places[0] + wrists[1] - wrists[0]
    np.testing.assert_allclose(found.relative_translation, expected, atol=1e-6)
    one = retarget.hands(TwoHands(None, made[1], None, metric=metric))
    assert one.right is None
    assert one.relative_translation is None
    np.testing.assert_allclose(one.left.vertices, found.left.vertices, atol=1e-9)


def test_joint_distances_tell_how_alike_two_models_are(retargets):
    distances = {name: retarget.joint_distances(64) / MILLIMETRE for name, retarget in retargets.items()}
    assert distances["same"].shape == (64, 2, 21)
    assert distances["same"].max() < 0.05
    assert distances["scaled"].mean() < 0.2
    assert 0.5 < distances["grown"].mean() < 5
    np.testing.assert_array_equal(distances["grown"], retargets["grown"].joint_distances(64) / MILLIMETRE)
