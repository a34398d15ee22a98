"""Retargeting between hand models: identity, parallel bones, bone lengths, symmetry of the sides.

Target models are variants of the bundled hand: rotated, scaled, with a bent rest pose, with other proportions.
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
from lgnet_core.hand_model.asset import BUNDLED_ASSET
from lgnet_core.inference.retarget import Retargeter
from lgnet_core.types import Hand, Side, TwoHands

MILLIMETRE = 1e-3
SEEDS = st.integers(0, 2**20)
MIRROR = np.array([-1.0, 1.0, 1.0])


def deformed(asset: HandAsset, rotations: np.ndarray, scale: float = 1.0, shift: np.ndarray | float = 0.0) -> HandAsset:
    """The hand with every vertex and its shape and pose blend shapes rotated by ``rotations`` (778, 3, 3)."""
    rotations = rotations.astype(np.float32)
    local = asset.posedirs.reshape(778, 3, 15, 3, 3)  # pose features rotate with the joints, here like the vertex
    local = np.einsum("vab,vbjkl,vmk,vnl->vajmn", rotations, local, rotations, rotations).reshape(778, 3, 135)
    return replace(
        asset,
        v_template=(scale * np.einsum("vab,vb->va", rotations, asset.v_template) + shift).astype(np.float32),
        shapedirs=scale * np.einsum("vab,vbk->vak", rotations, asset.shapedirs),
        posedirs=scale * local,
    )


def rotated(asset: HandAsset) -> HandAsset:
    rotation = Rotation.from_rotvec([0.7, -1.9, 0.4]).as_matrix()
    return deformed(asset, np.broadcast_to(rotation, (778, 3, 3)), shift=np.array([0.1, -0.02, 0.3]))


def scaled(asset: HandAsset) -> HandAsset:
    return deformed(asset, np.broadcast_to(np.eye(3), (778, 3, 3)), scale=1.1)


def bent(asset: HandAsset) -> HandAsset:
    """A rest pose with bent fingers; shape directions rotate with the skin."""
    model = HandModel(asset)
    rotations = random_rotations(4, 16, spread=0.2)
    rotations[0] = np.eye(3)
    mesh = model.pose(rotations[None], np.zeros((1, 10)), side=Side.RIGHT)
    global_rotations = rotations.copy()
    for joint, parent in enumerate((-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)):
        if joint:
            global_rotations[joint] = global_rotations[parent] @ rotations[joint]
    blended = np.einsum("vj,jab->vab", asset.weights, global_rotations)
    return replace(deformed(asset, blended), v_template=mesh.vertices[0].astype(np.float32))


def reshaped(asset: HandAsset) -> HandAsset:
    """Other proportions: the template displaced by a smooth field of about 2 mm."""
    random = np.random.default_rng(0)
    waves, phases = random.normal(0, 25, (32, 3)), random.uniform(0, 2 * np.pi, 32)
    field = np.sin(asset.v_template @ waves.T + phases) @ random.normal(0, 0.25, (32, 3))
    return replace(asset, v_template=(asset.v_template + 2 * MILLIMETRE * field).astype(np.float32))


VARIANTS = {"rotated": rotated, "scaled": scaled, "bent": bent, "reshaped": reshaped}


@pytest.fixture(scope="module")
def retargeters(hand_model) -> dict[str, Retargeter]:
    asset = read_asset(BUNDLED_ASSET)
    return {"same": Retargeter(hand_model, hand_model)} | {
        name: Retargeter(hand_model, HandModel(make(asset))) for name, make in VARIANTS.items()
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


def finger_angles(joints: np.ndarray) -> np.ndarray:
    """(..., 5) radians between the first and the second bone of each finger."""
    bones = directions(joints)
    return np.arccos((bones[..., 1::4, :] * bones[..., 2::4, :]).sum(-1))


@given(seed=SEEDS)
def test_the_same_model_gives_the_same_hand(hand_model, retargeters, seed):
    rotations, shape, vertices, joints = hands(hand_model, seed)
    retargeted = retargeters["same"](rotations, shape, joints)
    np.testing.assert_allclose(retargeted.vertices, vertices, atol=2e-5)
    np.testing.assert_allclose(retargeted.joints, joints, atol=2e-5)
    np.testing.assert_allclose(retargeted.wrist, 0, atol=2e-5)
    np.testing.assert_allclose(retargeted.rotations, rotations, atol=1e-3)
    np.testing.assert_allclose(retargeted.shape, shape, atol=0.02)


@given(seed=SEEDS)
def test_a_rotated_template_gives_the_same_mesh(hand_model, retargeters, seed):
    """A model with other axes: the mesh is the same, its rotations differ."""
    rotations, shape, vertices, joints = hands(hand_model, seed)
    retargeted = retargeters["rotated"](rotations, shape, joints)
    np.testing.assert_allclose(retargeted.vertices, vertices, atol=1e-4)
    np.testing.assert_allclose(retargeted.joints, joints, atol=1e-4)
    assert np.abs(retargeted.rotations - rotations).max() > 0.1


@pytest.mark.parametrize("name", VARIANTS)
@given(seed=SEEDS)
def test_bone_directions_and_finger_angles_are_preserved(hand_model, retargeters, name, seed):
    rotations, shape, _, joints = hands(hand_model, seed)
    retargeted = retargeters[name](rotations, shape, joints)
    parallel = (directions(retargeted.joints) * directions(joints)).sum(-1)
    between_joints = [joint - 1 for joint in BONES]
    assert parallel[..., between_joints].min() > np.cos(1e-3)
    np.testing.assert_allclose(finger_angles(retargeted.joints), finger_angles(joints), atol=1e-3)
    to_tips = [joint - 1 for joint in TIPS]  # vertices, which the pose moves a little relative to their bone
    assert parallel[..., to_tips].min() > np.cos(np.radians(6))


@pytest.mark.parametrize("name", ["rotated", "scaled", "bent"])
@given(seed=SEEDS)
def test_bone_lengths_are_preserved_if_the_shape_space_allows(hand_model, retargeters, name, seed):
    rotations, shape, _, joints = hands(hand_model, seed)
    retargeted = retargeters[name](rotations, shape, joints)
    tolerance = 2 * MILLIMETRE if name == "bent" else 0.3 * MILLIMETRE  # the joint regressor sees a bent rest pose
    np.testing.assert_allclose(lengths(retargeted.joints), lengths(joints), atol=tolerance)


def test_bone_lengths_are_closer_than_with_the_mean_shape(hand_model, retargeters):
    """Even for proportions outside the target's shape space."""
    rotations, shape, _, joints = hands(hand_model, 0, count=16)
    retargeter = retargeters["reshaped"]
    retargeted = retargeter(rotations, shape, joints)
    mean = retargeter.target.pose(rotations, np.zeros((16, 2, 10))).joints
    error, uncorrected = (np.abs(lengths(x) - lengths(joints)).mean() for x in (retargeted.joints, mean))
    assert error < 0.5 * uncorrected
    assert np.abs(retargeted.shape).max() < 10


@pytest.mark.parametrize("name", ["same", *VARIANTS])
@given(seed=SEEDS)
def test_sides_are_mirror_images(hand_model, retargeters, name, seed):
    rotations, shape, _, joints = hands(hand_model, seed, count=1)
    swapped = rotations[:, ::-1] * (MIRROR[:, None] * MIRROR)
    retargeter = retargeters[name]
    one = retargeter(rotations, shape, joints)
    two = retargeter(swapped, shape[:, ::-1], joints[:, ::-1] * MIRROR)
    np.testing.assert_allclose(two.vertices[:, ::-1] * MIRROR, one.vertices, atol=1e-5)
    np.testing.assert_allclose(two.shape[:, ::-1], one.shape, atol=1e-3)
    for side in Side:
        alone = retargeter(rotations[:, side], shape[:, side], joints[:, side], side)
        np.testing.assert_allclose(alone.vertices, one.vertices[:, side], atol=1e-6)


@given(seed=SEEDS)
def test_refined_joints_override_the_rough_mesh(hand_model, retargeters, seed):
    """Bone directions, bone lengths and the mean of the joints follow the refined joints."""
    rotations, shape, _, _ = hands(hand_model, seed)
    offsets, shape_offset = random_rotations(seed + 5, 2, 2, 16, spread=0.05), 0.2
    with torch.inference_mode():
        mesh = hand_model(torch.tensor(rotations @ offsets).float(), torch.tensor(shape + shape_offset).float())
    refined = mesh.joints.double().numpy()
    retargeted = retargeters["same"](rotations, shape, refined)
    relative = refined - refined[..., :1, :]
    between_joints = [joint - 1 for joint in BONES]
    parallel = (directions(retargeted.joints) * directions(refined)).sum(-1)[..., between_joints]
    assert parallel.min() > np.cos(1e-3)
    np.testing.assert_allclose(lengths(retargeted.joints), lengths(refined), atol=0.3 * MILLIMETRE)
    np.testing.assert_allclose(
        (retargeted.joints + retargeted.wrist[..., None, :]).mean(-2), relative.mean(-2), atol=1e-7
    )


@pytest.mark.parametrize("metric", [True, False])
def test_retargeting_the_hands_of_an_image(hand_model, retargeters, metric):
    rotations, shape, vertices, joints = hands(hand_model, 8, count=1)
    positions = np.array([[0.1, 0.0, 0.5], [-0.05, 0.02, 0.6]])
    retargeter = retargeters["reshaped"]
    originals = [
        Hand(
            side=side,
            presence=0.9,
            joints=joints[0, side] + metric * positions[side],
            vertices=vertices[0, side] + metric * positions[side],
            faces=hand_model.faces[side].numpy(),
            joints_2d=np.full((21, 2), 5.0),
            joint_std=np.full(21, 0.01),
            rotations=rotations[0, side],
            shape=shape[0, side],
        )
        for side in Side
    ]
    retargeted = retargeter.retarget(
        TwoHands(*originals, relative_translation=positions[1] - positions[0], metric=metric)
    )
    for before, after in zip(originals, retargeted.hands):
        surface = retargeter.target.pose(after.rotations[None], after.shape[None], side=after.side).wrist_relative()
        np.testing.assert_allclose(after.vertices - after.joints[0], surface.vertices[0], atol=1e-6)
        np.testing.assert_allclose(after.joints - after.joints[0], surface.joints[0], atol=1e-6)
        assert (after.side, after.presence) == (before.side, before.presence)
        np.testing.assert_array_equal(after.joints_2d, before.joints_2d)
        if metric:
            np.testing.assert_allclose(after.joints.mean(0), before.joints.mean(0), atol=1e-7)
        else:
            np.testing.assert_allclose(after.joints[0], 0, atol=1e-12)
    wrists = retargeter(rotations, shape, joints).wrist[0]
    expected = positions[1] - positions[0] + wrists[1] - wrists[0]
    np.testing.assert_allclose(retargeted.relative_translation, expected, atol=1e-6)
    one = retargeter.retarget(TwoHands(None, originals[1], None, metric=metric))
    assert one.right is None
    assert one.relative_translation is None
    np.testing.assert_allclose(one.left.vertices, retargeted.left.vertices, atol=1e-9)


def test_joint_distances_measure_the_similarity_of_models(retargeters):
    distances = {name: retargeter.joint_distances(64) / MILLIMETRE for name, retargeter in retargeters.items()}
    assert distances["same"].shape == (64, 2, 21)
    assert distances["same"].max() < 0.05
    assert distances["scaled"].mean() < 0.2
    assert 0.5 < distances["reshaped"].mean() < 5
    np.testing.assert_array_equal(distances["reshaped"], retargeters["reshaped"].joint_distances(64) / MILLIMETRE)
