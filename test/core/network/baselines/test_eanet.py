"""EANet: size, wiring and symmetry of the EABlock."""

import copy

import pytest
import torch
from support.parameters import parameter_count
from support.small_network import crops
from torch.testing import assert_close

from lgnet_core.network import build_network
from lgnet_core.network.baselines.eanet import EABlock
from lgnet_core.network.config import EANetConfig


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_parameter_count_is_close_to_the_published_one(hand_model):
    """The authors' code has 136.74 M; this one, with presence and uncertainty heads, has 0.7 % fewer."""
    network = build_network("eanet", hand_model)
    assert parameter_count(network) == pytest.approx(136.74e6, rel=0.01)
    assert parameter_count(network.split) + parameter_count(network.eablock) == pytest.approx(83.5e6, rel=0.001)


def test_shapes_between_the_modules(hand_model):
    network = build_network("eanet", hand_model).eval()
    captured = {}
    for name in ("split", "eablock", "joint_stage", "relative_translation"):
        hook = lambda module, args, out, name=name: captured.update({name: (args, out)})  # noqa: E731
        getattr(network, name).register_forward_hook(hook)
    regressor = network.mesh_stage.regressor[0]
    regressor.register_forward_hook(lambda module, args, out: captured.update(regressor=args))
    with torch.no_grad():
        network(*crops(1, 256))
    assert captured["split"][1].shape == (1, 2, 512, 8, 8)
    assert captured["eablock"][1].shape == (1, 2, 1024, 8, 8)
    assert [tuple(x.shape) for x in captured["joint_stage"][1]] == [(1, 2, 21, 3), (1, 2, 21, 512)]
    assert [tuple(x.shape) for x in captured["regressor"]] == [(1, 21, 515), (1, 1024)]
    assert captured["relative_translation"][0][0].shape == (1, 2048)
    assert regressor.rotations.in_features == 10815
    assert (regressor.shape.in_features, regressor.camera.linear.in_features) == (1024, 1024)


def test_eablock_matches_its_equation():
    block = EABlock(16).eval()
    features = torch.randn(2, 2, 16, 4, 4)
    common = block.extract(features[:, 0], features[:, 1])
    for side, mixed in enumerate(block(features).unbind(1)):
        adapted = block.adapt[side](features[:, side], common)
        assert_close(mixed, block.mix[side](torch.cat([features[:, side], adapted], 1)))


def test_each_hand_depends_on_the_other():
    block = EABlock(16).eval()
    features = torch.randn(1, 2, 16, 4, 4, requires_grad=True)
    for side in range(2):
        (gradient,) = torch.autograd.grad(block(features)[:, side].square().sum(), features)
        assert (gradient.abs().sum((0, 2, 3, 4)) > 0).all()


def test_equal_weights_and_maps_give_equal_hands():
    block = EABlock(16).eval()
    for part in (block.adapt, block.mix):
        part[1] = copy.deepcopy(part[0])
    one = torch.randn(1, 1, 16, 4, 4).expand(-1, 2, -1, -1, -1)
    right, left = block(one).unbind(1)
    assert_close(right, left)


def test_refined_mesh_equals_the_rough_mesh(hand_model):
    config = EANetConfig(backbone="efficientnet_lite0", channels=16, self_joint_depth=1)
    prediction = build_network(config, hand_model).eval()(*crops(2, 64))
    assert torch.equal(prediction.vertices, prediction.rough_vertices)
    assert torch.equal(prediction.joints, prediction.rough_joints)
