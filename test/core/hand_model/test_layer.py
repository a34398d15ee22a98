"""Hand layer: against smplx on the same file, gradients, equivariance, mirroring and export."""

import copy
import warnings

import numpy as np
import pytest
import roma
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.hand_model import MANO_TO_OPENPOSE, HandLayer, HandModelError, load_hand_layer, read_asset
from lgnet_core.hand_model.asset import BUNDLED_ASSET
from lgnet_core.types import JOINT_NAMES, Side

MIRROR = torch.tensor([-1.0, 1.0, 1.0])
MANO_JOINTS = [MANO_TO_OPENPOSE.index(joint) for joint in range(16)]  # positions of MANO's 16 joints among the 21

seeds = st.integers(0, 2**31 - 1)
sides = st.sampled_from(list(Side))


def random_hands(seed, batch, both=True, spread=0.5, dtype=torch.float32):
    """Pose (B, 2, 48) or (B, 48), shape and translation of random hands."""
    generator = torch.Generator().manual_seed(seed)
    leading = (batch, 2) if both else (batch,)

    def draw(size):
        return torch.randn(*leading, size, generator=generator, dtype=dtype)

    return spread * draw(48), draw(10), 0.3 * draw(3)


@pytest.fixture(scope="module")
def smplx():
    return pytest.importorskip("smplx")


@pytest.fixture(scope="module")
def smplx_folder(tmp_path_factory):
    """The bundled hand and its mirror image, in the folder layout of smplx."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "mano").mkdir()
    right = read_asset(BUNDLED_ASSET)
    right.write(folder / "mano" / "MANO_RIGHT.npz")
    right.mirrored().write(folder / "mano" / "MANO_LEFT.npz")
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_matches_smplx_on_the_same_file(hand_model, smplx, smplx_folder, side, flat, dtype):
    """Vertices and joints agree within 1e-3 mm, over shapes and poses far beyond those of hands."""
    model = copy.deepcopy(hand_model).to(dtype)
    reference = smplx.create(
        str(smplx_folder),
        "mano",
        is_rhand=side is Side.RIGHT,
        use_pca=False,
        flat_hand_mean=flat,
        ext="npz",
        batch_size=64,
        dtype=dtype,
    )
    pose, shape, translation = random_hands(7, 64, both=False, spread=1.0, dtype=dtype)
    expected = reference(betas=2 * shape, global_orient=pose[:, :3], hand_pose=pose[:, 3:].clone(), transl=translation)
    mesh = model(model.pose_to_rotations(pose, side, flat_hand_mean=flat), 2 * shape, translation, side)
    assert (mesh.vertices - expected.vertices).abs().max() < 1e-6
    assert (mesh.joints[:, MANO_JOINTS] - expected.joints).abs().max() < 1e-6


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["MANO", "MANOLayer"])
def test_from_smplx_objects(hand_model, smplx, smplx_folder, kind):
    right, left = (
        getattr(smplx, kind)(str(smplx_folder / "mano"), is_rhand=side is Side.RIGHT, use_pca=False, ext="npz")
        for side in Side
    )
    pose, shape, translation = random_hands(1, 3)
    expected = hand_model(hand_model.pose_to_rotations(pose), shape, translation)
    for converted in (HandLayer.from_smplx(right), HandLayer.from_smplx((right, left))):
        mesh = converted(converted.pose_to_rotations(pose), shape, translation)
        torch.testing.assert_close(mesh.vertices, expected.vertices, atol=1e-7, rtol=0)
        torch.testing.assert_close(mesh.joints[..., MANO_JOINTS, :], expected.joints[..., MANO_JOINTS, :])
        assert torch.equal(converted.faces, hand_model.faces)
    with pytest.raises(ValueError, match="right hand, or the pair"):
        HandLayer.from_smplx((left, right))
    with pytest.raises(ValueError, match="right hand, or the pair"):
        HandLayer.from_smplx(left)
    with pytest.raises(TypeError, match=r"expected a smplx\.MANO object"):
        HandLayer.from_smplx("MANO_RIGHT.pkl")


@pytest.mark.filterwarnings("ignore")
def test_from_smplx_corrects_left_shapedirs_with_a_warning(hand_model, smplx, smplx_folder):
    right, left = (
        smplx.MANOLayer(str(smplx_folder / "mano"), is_rhand=side is Side.RIGHT, use_pca=False, ext="npz")
        for side in Side
    )
    left.shapedirs[:, 0] *= -1
    with pytest.warns(UserWarning, match="wrong sign on the first coordinate"):
        converted = HandLayer.from_smplx((right, left))
    torch.testing.assert_close(converted.shapedirs, hand_model.shapedirs)
    left.shapedirs[:, 0] *= -1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        HandLayer.from_smplx((right, left))


@given(seed=seeds, side=sides)
def test_single_side_equals_both_sides(hand_model, seed, side):
    pose, shape, translation = random_hands(seed, 2)
    both = hand_model(hand_model.pose_to_rotations(pose), shape, translation)
    rotations = hand_model.pose_to_rotations(pose[:, side], side)
    one = hand_model(rotations, shape[:, side], translation[:, side], side)
    torch.testing.assert_close(one.vertices, both.vertices[:, side], atol=1e-6, rtol=0)
    torch.testing.assert_close(one.joints, both.joints[:, side], atol=1e-6, rtol=0)
    joints = hand_model.joints_from_vertices(both.vertices)
    one_joints = hand_model.joints_from_vertices(both.vertices[:, side], side)
    torch.testing.assert_close(one_joints, joints[:, side], atol=1e-6, rtol=0)


@given(seed=seeds, side=sides)
def test_mirrored_hand_is_the_other_hand(hand_model, seed, side):
    """Mirroring the pose of one hand gives the mirror image of its mesh: v -> (-x, y, z)."""
    pose, shape, translation = random_hands(seed, 2, both=False)
    mirrored_pose = (pose.unflatten(-1, (16, 3)) * -MIRROR).flatten(-2)  # axis-angle: (x, -y, -z)
    mine = hand_model(hand_model.pose_to_rotations(pose, side), shape, translation, side)
    theirs = hand_model(
        hand_model.pose_to_rotations(mirrored_pose, side.other), shape, translation * MIRROR, side.other
    )
    torch.testing.assert_close(theirs.vertices * MIRROR, mine.vertices, atol=1e-6, rtol=0)
    torch.testing.assert_close(theirs.joints * MIRROR, mine.joints, atol=1e-6, rtol=0)


@given(seed=seeds)
def test_bone_lengths_are_independent_of_the_pose(hand_model, seed):
    """The lengths computed from the shape equal the distances of the joints of the posed hand."""
    pose, shape, _ = random_hands(seed, 2)
    joints = hand_model(hand_model.pose_to_rotations(pose), shape).joints[..., hand_model.mano_to_openpose.argsort(), :]
    parents = torch.tensor([-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14])  # MANO's tree
    lengths = (joints[..., 1:16, :] - joints[..., parents[1:], :]).norm(dim=-1)
    torch.testing.assert_close(hand_model.bone_lengths(shape), lengths, atol=1e-6, rtol=0)
    openpose = hand_model(hand_model.pose_to_rotations(pose), shape).joints
    palm = (openpose[..., 9, :] - openpose[..., 0, :]).norm(dim=-1)
    torch.testing.assert_close(hand_model.palm_length(shape), palm, atol=1e-6, rtol=0)


@given(seed=seeds)
def test_root_rotation_and_translation_move_the_hand_rigidly(hand_model, seed):
    """Rotating the root by R rotates the wrist-relative hand by R; a translation moves all points."""
    pose, shape, translation = random_hands(seed, 2)
    rotation = roma.random_rotmat(1, generator=torch.Generator().manual_seed(seed))
    rotations = hand_model.pose_to_rotations(pose)
    root_rotated = torch.cat([rotation @ rotations[:, :, :1], rotations[:, :, 1:]], 2)
    plain = hand_model(rotations, shape)
    moved = hand_model(root_rotated, shape, translation)
    torch.testing.assert_close(moved.joints[..., 0, :], plain.joints[..., 0, :] + translation, atol=1e-6, rtol=0)
    for mine, theirs in zip(moved.wrist_relative(), plain.wrist_relative()):
        torch.testing.assert_close(mine, theirs @ rotation[0].T, atol=2e-6, rtol=0)


@given(seed=seeds, flat=st.booleans())
def test_pose_is_rotation_vectors_relative_to_the_mean_pose(hand_model, seed, flat):
    """Round trip through roma, for a single side as well as for both."""
    rotations = roma.random_rotmat((2, 2, 16), generator=torch.Generator().manual_seed(seed))
    pose = roma.rotmat_to_rotvec(rotations).flatten(-2)
    if not flat:
        pose[..., 3:] -= hand_model.hands_mean  # the root has none
    recovered = hand_model.pose_to_rotations(pose, flat_hand_mean=flat)
    torch.testing.assert_close(recovered, rotations, atol=2e-5, rtol=0)
    assert torch.equal(hand_model.pose_to_rotations(pose[:, 1], Side.LEFT, flat_hand_mean=flat), recovered[:, 1])


def test_zero_pose_is_the_mean_pose(hand_model):
    rotations = hand_model.pose_to_rotations(torch.zeros(1, 2, 48))
    means = roma.rotmat_to_rotvec(rotations)[0, :, 1:].flatten(1)
    torch.testing.assert_close(means, hand_model.hands_mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(rotations[:, :, 0], torch.eye(3).expand(1, 2, 3, 3))


def test_rest_hand_is_the_template_with_regressed_joints(hand_model):
    identity = torch.eye(3).expand(1, 2, 16, 3, 3)
    mesh = hand_model(identity, torch.zeros(1, 2, 10))
    torch.testing.assert_close(mesh.vertices[0], hand_model.v_template, atol=1e-7, rtol=0)
    torch.testing.assert_close(mesh.joints, hand_model.joints_from_vertices(mesh.vertices), atol=1e-6, rtol=0)
    shape = torch.randn(3, 2, 10, generator=torch.Generator().manual_seed(0))
    mesh = hand_model(identity.expand(3, -1, -1, -1, -1), shape)
    torch.testing.assert_close(mesh.joints, hand_model.joints_from_vertices(mesh.vertices), atol=1e-6, rtol=0)


def test_joints_are_in_openpose_order(hand_model):
    """The four joints of each finger are ordered from the wrist outwards and end at its tip vertex."""
    joints = hand_model(torch.eye(3).expand(1, 2, 16, 3, 3), torch.zeros(1, 2, 10)).joints[0]
    assert len(JOINT_NAMES) == 21
    tips = [JOINT_NAMES.index(f"{finger}_4") for finger in ("thumb", "index", "middle", "ring", "pinky")]
    torch.testing.assert_close(joints[:, tips], hand_model.v_template[:, hand_model.tip_vertices], atol=1e-7, rtol=0)
    from_wrist = (joints - joints[:, :1]).norm(dim=-1)[:, 1:].unflatten(1, (5, 4))
    assert (from_wrist.diff(dim=-1) > 0.01).all()
    across = joints[Side.RIGHT, [5, 9, 13, 17]]  # knuckles from index to pinky are in a row
    assert (across.diff(dim=0) @ (across[-1] - across[0]) > 0).all()


def test_gradients_match_finite_differences(hand_model):
    model = copy.deepcopy(hand_model).double()
    pose, shape, translation = (x.requires_grad_() for x in random_hands(3, 1, dtype=torch.float64))
    picked = [0, 100, 745, 777]

    def some_points(pose, shape, translation):
        mesh = model(model.pose_to_rotations(pose), shape, translation)
        return torch.cat([mesh.vertices[..., picked, :], mesh.joints[..., ::5, :]], -2)

    assert torch.autograd.gradcheck(some_points, (pose, shape, translation), eps=1e-6, atol=1e-6)


def test_gradients_are_finite_at_zero_pose(hand_model):
    pose = torch.zeros(1, 2, 48, requires_grad=True)
    mesh = hand_model(hand_model.pose_to_rotations(pose, flat_hand_mean=True), torch.zeros(1, 2, 10))
    mesh.vertices.square().sum().backward()
    assert torch.isfinite(pose.grad).all()
    assert pose.grad.abs().max() > 0


def test_autocast_does_not_reduce_precision(hand_model):
    pose, shape, translation = random_hands(5, 2)
    rotations = hand_model.pose_to_rotations(pose)
    expected = hand_model(rotations, shape, translation).vertices
    with torch.autocast("cpu", torch.bfloat16):
        vertices = hand_model(rotations, shape, translation).vertices
    assert torch.equal(vertices, expected)


def test_hand_model_is_not_part_of_a_state_dict(hand_model):
    assert not hand_model.state_dict()
    assert not list(hand_model.parameters())


def test_faces_are_oriented_outwards_on_both_sides(hand_model):
    for side in Side:
        a, b, c = (hand_model.v_template[side] - hand_model.v_template[side].mean(0))[hand_model.faces[side]].unbind(1)
        volume = (a * torch.linalg.cross(b, c)).sum() / 6
        assert 5e-5 < volume < 1e-3  # a hand has a volume of 0.3 litres


def test_wrong_input_shapes_are_rejected(hand_model):
    rotations, shape = torch.eye(3).expand(1, 2, 16, 3, 3), torch.zeros(1, 2, 10)
    with pytest.raises(ValueError, match=r"rotations has shape \(1, 16, 3, 3\), expected \(\.\.\., 2, 16, 3, 3\)"):
        hand_model(rotations[:, 0], shape)
    with pytest.raises(ValueError, match="shape has shape"):
        hand_model(rotations, shape[:, 0])
    with pytest.raises(ValueError, match="translation has shape"):
        hand_model(rotations, shape, torch.zeros(1, 3))
    with pytest.raises(ValueError, match="pose has shape"):
        hand_model.pose_to_rotations(torch.zeros(1, 48))


def test_load_from_a_directory(hand_model, tmp_path):
    right = read_asset(BUNDLED_ASSET)
    right.write(tmp_path / "hand_right.npz")
    with pytest.raises(FileNotFoundError, match=r"hand_left\.npz: no such file"):
        load_hand_layer(tmp_path)
    right.mirrored().write(tmp_path / "hand_left.npz")
    loaded = load_hand_layer(tmp_path)
    assert loaded.digest == hand_model.digest
    with pytest.raises(FileNotFoundError, match="no such directory"):
        load_hand_layer(tmp_path / "nowhere")
    (tmp_path / "hand_left.npz").write_bytes((tmp_path / "hand_left.npz").read_bytes()[:1000])
    with pytest.raises(HandModelError, match=r"hand_left\.npz: not a readable npz"):
        load_hand_layer(tmp_path)


class ExportWrapper(torch.nn.Module):
    def __init__(self, hand_model):
        super().__init__()
        self.hand_model = hand_model
        self.eval()

    def forward(self, rotations, shape, translation):
        return tuple(self.hand_model(rotations, shape, translation))


def test_onnx_runtime_matches_torch(hand_model, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    pose, shape, translation = random_hands(9, 2)
    inputs = (hand_model.pose_to_rotations(pose), shape, translation)
    program = torch.onnx.export(ExportWrapper(hand_model), inputs, dynamo=True, verbose=False)
    program.save(tmp_path / "hand.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "hand.onnx", providers=["CPUExecutionProvider"])
    outputs = session.run(None, {i.name: x.numpy() for i, x in zip(session.get_inputs(), inputs)})
    expected = hand_model(*inputs)
    np.testing.assert_allclose(outputs[0], expected.vertices, atol=1e-6)
    np.testing.assert_allclose(outputs[1], expected.joints, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_matches_cpu(hand_model):
    model = copy.deepcopy(hand_model).cuda()
    pose, shape, translation = random_hands(11, 4)
    expected = hand_model(hand_model.pose_to_rotations(pose), shape, translation)
    pose, shape, translation = pose.cuda(), shape.cuda(), translation.cuda()
    mesh = model(model.pose_to_rotations(pose), shape, translation)
    torch.testing.assert_close(mesh.vertices.cpu(), expected.vertices, atol=1e-5, rtol=0)
    with torch.autocast("cuda", torch.float16):
        assert torch.equal(model(model.pose_to_rotations(pose), shape, translation).vertices, mesh.vertices)
