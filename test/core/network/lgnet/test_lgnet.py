"""LGNet as a whole: shapes, sizes, what it starts as, every switch of the ablation, export, CUDA."""

import pytest
import torch
from support.small_network import crops
from torch.testing import assert_close

from lgnet_core.network import PRESETS, HandsPrediction, LGNetConfig, build_network

TINY = {"backbone": "efficientnet_lite0", "channels": 16, "self_joint_depth": 1, "refine_channels": 8}
SHAPES = {
    "joints_grid": (2, 21, 3),
    "joint_log_variance": (2, 21),
    "presence_logits": (2,),
    "rotations": (2, 16, 3, 3),
    "shape": (2, 10),
    "camera": (2, 3),
    "rough_vertices": (2, 778, 3),
    "rough_joints": (2, 21, 3),
    "vertices": (2, 778, 3),
    "joints": (2, 21, 3),
    "relative_translation": (3,),
}
ABLATION = {
    "full": {},
    "joint stage": {"joint_stage": False},
    "mesh stage": {"mesh_stage": False},
    "refine stage": {"refine_stage": False},
    "joint and mesh stage": {"joint_stage": False, "mesh_stage": False},
    "L-R split": {"left_right_features": False},
    "LGBlock": {"lgblock": False},
    "local": {"local_unit": False},
    "global": {"global_unit": False},
    "grid": {"local_graph": "grid"},
    "no graph": {"local_graph": "none"},
    "chebyshev": {"graph_layer": "chebyshev"},
    "literal": {"lgfa": "literal"},
    "eanet": {"lgfa": "eanet"},
    "weak": {"refine_projection": "weak", "depth_box": 0.3},
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def tiny(hand_model, **switches):
    return build_network(LGNetConfig(**(TINY | switches)), hand_model)


def awake(network):
    """Move the layers that start at zero, so that every part shows in the result."""
    for name, parameter in network.named_parameters():
        if "tail.nn.2" in name or "projection" in name or "volume" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


def parameter_count(network):
    return sum(p.numel() for p in network.parameters())


def stage_shapes(network, inputs):
    """Shapes at the joints between the stages, by hooks."""
    seen = {}

    def watch(name, module):
        module.register_forward_hook(lambda module, args, out: seen.update({name: (args, out)}))

    watch("backbone", network.backbone)
    watch("split", network.split)
    watch("lgblock", network.lgblock)
    watch("local", network.lgblock.lgfa_local)
    watch("graph", network.lgblock.local_graph[0].stack)
    watch("joint", network.joint_stage)
    watch("volume", network.joint_stage[0].volume)
    watch("transformer", network.mesh_stage.transformer)
    watch("regressor", network.mesh_stage.regressor[0])
    watch("relative", network.relative_translation)
    watch("refine", network.refine_stage)
    with torch.no_grad():
        network(*inputs)
    return seen


@pytest.mark.parametrize(
    ("preset", "c", "early", "deep"),
    [("lgnet", 512, 256, 2048), ("lgnet-light", 256, 256, 2048), ("lgnet-mini", 192, 24, 1280)],
)
def test_every_tensor_of_the_presets(hand_model, preset, c, early, deep):
    network = build_network(preset, hand_model).eval()
    inputs = crops(1, 256)
    seen = stage_shapes(network, inputs)
    own = c + c // 4
    assert [tuple(x.shape) for x in seen["backbone"][1]] == [(1, early, 64, 64), (1, deep, 8, 8)]
    assert seen["split"][1].shape == (1, 2, c, 8, 8)
    assert seen["graph"][1].shape == (63, c)
    assert seen["local"][1].shape == (1, c, 8, 8)
    assert seen["lgblock"][1].shape == (1, 2, own, 8, 8)
    assert seen["volume"][1].shape == (1, 21 * 8, 8, 8)
    assert [tuple(x.shape) for x in seen["joint"][1]] == [(1, 2, 21, 3), (1, 2, 21, c)]
    assert seen["transformer"][1].shape == (1, 2, 21, c)
    assert seen["regressor"][0][0].shape == (1, 21, c + 3)
    assert seen["relative"][0][0].shape == (1, 2, own)
    assert seen["refine"][1].shape == (1, 2, 778, 3)
    with torch.no_grad():
        prediction = network(*inputs)
    assert {name: tuple(value.shape) for name, value in prediction._asdict().items()} == {
        name: (1, *shape) for name, shape in SHAPES.items()
    }
    assert torch.equal(prediction.vertices, prediction.rough_vertices)  # M_f = M_r at the start
    assert torch.equal(prediction.joints, prediction.rough_joints)


@pytest.mark.parametrize(
    ("preset", "least", "most"), [("lgnet", 82e6, 94e6), ("lgnet-light", 41e6, 44e6), ("lgnet-mini", 12e6, 16e6)]
)
def test_sizes_of_the_presets(hand_model, preset, least, most):
    assert least <= parameter_count(build_network(preset, hand_model)) <= most


def test_hand_model_is_not_saved_with_the_weights(hand_model):
    state = tiny(hand_model).state_dict()
    assert not [name for name in state if name.startswith("hand_model")]
    assert max(value.numel() for value in state.values()) < 1e6
    assert len({value.data_ptr() for value in state.values() if value.numel()}) == len(state)  # nothing stored twice


@pytest.mark.parametrize("switches", ABLATION.values(), ids=ABLATION)
def test_every_switch_builds_runs_and_learns(hand_model, switches):
    network = tiny(hand_model, **switches)
    prediction = network(*crops(2, 64))
    assert {name: tuple(value.shape) for name, value in prediction._asdict().items()} == {
        name: (2, *shape) for name, shape in SHAPES.items()
    }
    assert all(value.isfinite().all() for value in prediction)
    sum(value.square().mean() for value in prediction).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_switches_change_the_network(hand_model):
    sizes = {name: parameter_count(tiny(hand_model, **switches)) for name, switches in ABLATION.items()}
    assert all(size != sizes["full"] for name, size in sizes.items() if name not in ("full", "weak"))


def test_joints_without_a_joint_stage_are_the_rough_joints_projection(hand_model):
    prediction = tiny(hand_model, joint_stage=False).eval()(*crops(1, 64))
    s, t = prediction.camera[..., None, :1], prediction.camera[..., None, 1:]
    u = ((s * prediction.rough_joints[..., :2] + t + 1) * 2 - 1) / 2  # [-1, 1] to 2 cells
    assert_close(prediction.joints_grid[..., :2], u)
    assert_close(prediction.joints_grid[..., 2], (prediction.rough_joints[..., 2] / 0.5 + 0.5) * 8 - 0.5)


@pytest.mark.parametrize("size", [32, 96, 256])
def test_other_image_sizes(hand_model, size):
    prediction = awake(tiny(hand_model))(*crops(1, size))
    assert all(value.isfinite().all() for value in prediction)
    assert prediction.joints_grid[..., :2].max() <= size // 32 - 1


@pytest.mark.parametrize("shape", [(1, 3, 64, 96), (1, 3, 100, 100)])
def test_refuses_other_images(hand_model, shape):
    with pytest.raises(ValueError, match="multiple of 32"):
        tiny(hand_model)(torch.rand(shape), crops(1, 64)[1])


def test_same_result_on_repeated_calls_and_in_any_batch(hand_model):
    network = awake(tiny(hand_model))
    image, intrinsics = crops(3, 64)
    with torch.no_grad():
        first, again = network(image, intrinsics), network(image, intrinsics)
        alone = network(image[1:2], intrinsics[1:2])
    for a, b, c in zip(first, again, alone):
        assert torch.equal(a, b)
        assert_close(a[1:2], c, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_keeps_geometry_in_single(hand_model, dtype):
    network = awake(tiny(hand_model))
    inputs = crops(2, 64)
    exact = network(*inputs)
    with torch.autocast("cpu", dtype):
        mixed = network(*inputs)
    for a, b in zip(exact, mixed):
        assert b.dtype == torch.float32
        assert (a - b).abs().max() <= 0.03 * a.abs().max()
    sum(value.square().mean() for value in mixed).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_refined_mesh_stays_on_its_wrist(hand_model):
    prediction = awake(tiny(hand_model))(*crops(2, 64))
    moved = prediction.vertices - prediction.rough_vertices
    assert moved.abs().max() > 1e-4
    assert_close(prediction.joints[:, :, 0], torch.zeros(2, 2, 3), atol=1e-7, rtol=0)
    shift = hand_model.joints_from_vertices(moved)
    assert_close(prediction.joints - prediction.rough_joints, shift, atol=1e-6, rtol=0)


def test_both_geometry_settings_reach_the_result(hand_model):
    """The depth box matters where joints come from the mesh; the projection, where vertices are read."""
    inputs = crops(1, 64)
    full, weak = (awake(tiny(hand_model, refine_projection=projection)) for projection in ("full", "weak"))
    weak.load_state_dict(full.state_dict())
    a, b = full(*inputs), weak(*inputs)
    assert torch.equal(a.rough_vertices, b.rough_vertices)
    assert not torch.equal(a.vertices, b.vertices)


def test_trains_on_two_images(hand_model):
    """Ten steps towards another hand's mesh lower the error of both meshes."""
    network = tiny(hand_model).train()
    inputs = crops(2, 64)
    with torch.no_grad():
        target = hand_model(hand_model.pose_to_rotations(torch.randn(2, 2, 48) * 0.2), torch.zeros(2, 2, 10))
        target = target.wrist_relative().vertices
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    errors = []
    for _ in range(10):
        prediction = network(*inputs)
        rough, fine = ((v - target).abs().mean() for v in (prediction.rough_vertices, prediction.vertices))
        errors.append((rough.item(), fine.item()))
        optimizer.zero_grad()
        (rough + fine).backward()
        optimizer.step()
    assert errors[-1][0] < 0.8 * errors[0][0]
    assert errors[-1][1] < 0.8 * errors[0][1]


@pytest.mark.filterwarnings("ignore")
def test_exports_to_onnx_and_gives_the_same(hand_model, tmp_path):
    """Tracing export at a fixed batch: no operator of the forward pass is outside ONNX."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    network = awake(tiny(hand_model)).requires_grad_(False)
    image, intrinsics = crops(1, 64)
    path = tmp_path / "tiny.onnx"
    names = list(HandsPrediction._fields)
    torch.onnx.export(
        network,
        (image, intrinsics),
        path,
        dynamo=False,
        opset_version=17,
        input_names=["image", "intrinsics"],
        output_names=names,
    )
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs = session.run(names, {"image": image.numpy(), "intrinsics": intrinsics.numpy()})
    for name, expected, output in zip(names, network(image, intrinsics), outputs):
        assert (torch.from_numpy(output) - expected).abs().max() <= 1e-3 * expected.abs().max(), name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device; make gpu-check runs this where there is one")
@pytest.mark.parametrize("preset", PRESETS)
def test_same_result_on_cpu_and_cuda(hand_model, preset):
    import copy

    network = awake(build_network(preset, copy.deepcopy(hand_model)))
    inputs = crops(2, 256)
    with torch.no_grad():
        here = network(*inputs)
        there = network.cuda()(*(x.cuda() for x in inputs))
    for name, a, b in zip(HandsPrediction._fields, here, there):
        assert (a - b.cpu()).abs().max() <= 1e-2 * a.abs().max(), name
