"""LGNet: shapes, sizes, initialisation, ablation switches, mixed precision, export, CUDA."""

import pytest
import torch
from support.parameters import parameter_count
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


def randomise_zero_layers(network):
    """Randomise zero-initialised layers, so that every part influences the output."""
    for name, parameter in network.named_parameters():
        if "tail.nn.2" in name or "projection" in name or "volume" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


def record_stages(network, inputs):
    """Inputs and outputs of the stages, recorded by hooks."""
    recorded = {}

    def record(name, module):
        module.register_forward_hook(lambda module, args, out: recorded.update({name: (args, out)}))

    record("backbone", network.backbone)
    record("split", network.split)
    record("lgblock", network.lgblock)
    record("local", network.lgblock.lgfa_local)
    record("graph", network.lgblock.local_graph[0].stack)
    record("joint", network.joint_stage)
    record("volume", network.joint_stage[0].volume)
    record("transformer", network.mesh_stage.transformer)
    record("regressor", network.mesh_stage.regressor[0])
    record("relative", network.relative_translation)
    record("refine", network.refine_stage)
    with torch.no_grad():
        network(*inputs)
    return recorded


@pytest.mark.parametrize(
    ("preset", "c", "early", "deep"),
    [("lgnet", 512, 256, 2048), ("lgnet-light", 256, 256, 2048), ("lgnet-mini", 192, 24, 1280)],
)
def test_shapes_of_the_presets(hand_model, preset, c, early, deep):
    network = build_network(preset, hand_model).eval()
    inputs = crops(1, 256)
    stages = record_stages(network, inputs)
    enhanced = c + c // 4
    assert [tuple(x.shape) for x in stages["backbone"][1]] == [(1, early, 64, 64), (1, deep, 8, 8)]
    assert stages["split"][1].shape == (1, 2, c, 8, 8)
    assert stages["graph"][1].shape == (63, c)
    assert stages["local"][1].shape == (1, c, 8, 8)
    assert stages["lgblock"][1].shape == (1, 2, enhanced, 8, 8)
    assert stages["volume"][1].shape == (1, 21 * 8, 8, 8)
    assert [tuple(x.shape) for x in stages["joint"][1]] == [(1, 2, 21, 3), (1, 2, 21, c)]
    assert stages["transformer"][1].shape == (1, 2, 21, c)
    assert stages["regressor"][0][0].shape == (1, 21, c + 3)
    assert stages["relative"][0][0].shape == (1, 2, enhanced)
    assert stages["refine"][1].shape == (1, 2, 778, 3)
    with torch.no_grad():
        prediction = network(*inputs)
    assert {name: tuple(value.shape) for name, value in prediction._asdict().items()} == {
        name: (1, *shape) for name, shape in SHAPES.items()
    }
    assert torch.equal(prediction.vertices, prediction.rough_vertices)  # M_f = M_r at first
    assert torch.equal(prediction.joints, prediction.rough_joints)


@pytest.mark.parametrize(
    ("preset", "lower", "upper"), [("lgnet", 82e6, 94e6), ("lgnet-light", 41e6, 44e6), ("lgnet-mini", 12e6, 16e6)]
)
def test_parameter_counts_of_the_presets(hand_model, preset, lower, upper):
    assert lower <= parameter_count(build_network(preset, hand_model)) <= upper


def test_hand_model_is_not_saved_with_the_weights(hand_model):
    state = tiny(hand_model).state_dict()
    assert not [name for name in state if name.startswith("hand_model")]
    assert max(value.numel() for value in state.values()) < 1e6
    assert len({value.data_ptr() for value in state.values() if value.numel()}) == len(state)  # no shared storage


@pytest.mark.parametrize("switches", ABLATION.values(), ids=ABLATION)
def test_every_ablation_runs_and_all_its_parameters_have_gradients(hand_model, switches):
    network = tiny(hand_model, **switches)
    prediction = network(*crops(2, 64))
    assert {name: tuple(value.shape) for name, value in prediction._asdict().items()} == {
        name: (2, *shape) for name, shape in SHAPES.items()
    }
    assert all(value.isfinite().all() for value in prediction)
    sum(value.square().mean() for value in prediction).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_switches_change_the_parameter_count(hand_model):
    counts = {name: parameter_count(tiny(hand_model, **switches)) for name, switches in ABLATION.items()}
    assert all(count != counts["full"] for name, count in counts.items() if name not in ("full", "weak"))


def test_joints_grid_without_joint_stage_is_the_projection_of_the_rough_joints(hand_model):
    prediction = tiny(hand_model, joint_stage=False).eval()(*crops(1, 64))
    s, t = prediction.camera[..., None, :1], prediction.camera[..., None, 1:]
    u = ((s * prediction.rough_joints[..., :2] + t + 1) * 2 - 1) / 2  # [-1, 1] to 2 cells
    assert_close(prediction.joints_grid[..., :2], u)
    assert_close(prediction.joints_grid[..., 2], (prediction.rough_joints[..., 2] / 0.5 + 0.5) * 8 - 0.5)


@pytest.mark.parametrize("size", [32, 96, 256])
def test_other_image_sizes(hand_model, size):
    prediction = randomise_zero_layers(tiny(hand_model))(*crops(1, size))
    assert all(value.isfinite().all() for value in prediction)
    assert prediction.joints_grid[..., :2].max() <= size // 32 - 1


@pytest.mark.parametrize("shape", [(1, 3, 64, 96), (1, 3, 100, 100)])
def test_invalid_image_size_raises(hand_model, shape):
    with pytest.raises(ValueError, match="multiple of 32"):
        tiny(hand_model)(torch.rand(shape), crops(1, 64)[1])


def test_result_is_deterministic_and_independent_of_the_batch(hand_model):
    network = randomise_zero_layers(tiny(hand_model))
    image, intrinsics = crops(3, 64)
    with torch.no_grad():
        first, again = network(image, intrinsics), network(image, intrinsics)
        alone = network(image[1:2], intrinsics[1:2])
    for a, b, c in zip(first, again, alone):
        assert torch.equal(a, b)
        assert_close(a[1:2], c, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_returns_float32(hand_model, dtype):
    network = randomise_zero_layers(tiny(hand_model))
    inputs = crops(2, 64)
    exact = network(*inputs)
    with torch.autocast("cpu", dtype):
        mixed = network(*inputs)
    for a, b in zip(exact, mixed):
        assert b.dtype == torch.float32
        assert (a - b).abs().max() <= 0.03 * a.abs().max()
    sum(value.square().mean() for value in mixed).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_refined_mesh_is_relative_to_its_wrist(hand_model):
    prediction = randomise_zero_layers(tiny(hand_model))(*crops(2, 64))
    offsets = prediction.vertices - prediction.rough_vertices
    assert offsets.abs().max() > 1e-4
    assert_close(prediction.joints[:, :, 0], torch.zeros(2, 2, 3), atol=1e-7, rtol=0)
    shift = hand_model.joints_from_vertices(offsets)
    assert_close(prediction.joints - prediction.rough_joints, shift, atol=1e-6, rtol=0)


def test_projection_setting_affects_only_the_refined_mesh(hand_model):
    inputs = crops(1, 64)
    full, weak = (
        randomise_zero_layers(tiny(hand_model, refine_projection=projection)) for projection in ("full", "weak")
    )
    weak.load_state_dict(full.state_dict())
    a, b = full(*inputs), weak(*inputs)
    assert torch.equal(a.rough_vertices, b.rough_vertices)
    assert not torch.equal(a.vertices, b.vertices)


def test_training_on_two_images_reduces_the_errors(hand_model):
    """Ten steps towards a target mesh reduce the error of the rough and the refined mesh."""
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
def test_onnx_export_agrees(hand_model, tmp_path):
    """Tracing export with a fixed batch size."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    network = randomise_zero_layers(tiny(hand_model)).requires_grad_(False)
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

    network = randomise_zero_layers(build_network(preset, copy.deepcopy(hand_model)))
    inputs = crops(2, 256)
    with torch.no_grad():
        on_cpu = network(*inputs)
        on_cuda = network.cuda()(*(x.cuda() for x in inputs))
    for name, a, b in zip(HandsPrediction._fields, on_cpu, on_cuda):
        assert (a - b.cpu()).abs().max() <= 1e-2 * a.abs().max(), name
