"""EANet's own parts."""

import copy

import pytest
import torch
from support.small_network import crops
from torch.testing import assert_close

from lgnet_core.network import build_network
from lgnet_core.network.baselines.eanet import EABlock
from lgnet_core.network.config import EANetConfig


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_its_size_is_the_published_networks(hand_model):
    """136.74 M were counted in its authors' code; ours, with a presence and an uncertainty, has 0.7 % fewer."""
    network = build_network("eanet", hand_model)
    count = sum(p.numel() for p in network.parameters())
    assert count == pytest.approx(136.74e6, rel=0.01)
    block = sum(p.numel() for part in (network.split, network.eablock) for p in part.parameters())
    assert block == pytest.approx(83.5e6, rel=0.001)


def test_every_tensor_between_its_parts(hand_model):
    network = build_network("eanet", hand_model).eval()
    seen = {}
    for name in ("split", "eablock", "joint_stage", "relative_translation"):
        hook = lambda module, args, out, name=name: seen.update({name: (args, out)})  # noqa: E731
        getattr(network, name).register_forward_hook(hook)
    regressor = network.mesh_stage.regressor[0]
    regressor.register_forward_hook(lambda module, args, out: seen.update(regressor=args))
    with torch.no_grad():
        network(*crops(1, 256))
    assert seen["split"][1].shape == (1, 2, 512, 8, 8)
    assert seen["eablock"][1].shape == (1, 2, 1024, 8, 8)
    assert [tuple(x.shape) for x in seen["joint_stage"][1]] == [(1, 2, 21, 3), (1, 2, 21, 512)]
    assert [tuple(x.shape) for x in seen["regressor"]] == [(1, 21, 515), (1, 1024)]
    assert seen["relative_translation"][0][0].shape == (1, 2048)
    assert regressor.rotations.in_features == 10815
    assert (regressor.shape.in_features, regressor.camera.linear.in_features) == (1024, 1024)


def test_the_block_is_extract_adapt_mix():
    """Its equation, written out of its parts."""
    block = EABlock(16).eval()
    features = torch.randn(2, 2, 16, 4, 4)
    common = block.extract(features[:, 0], features[:, 1])
    for side, mixed in enumerate(block(features).unbind(1)):
        adapted = block.adapt[side](features[:, side], common)
        assert_close(mixed, block.mix[side](torch.cat([features[:, side], adapted], 1)))


def test_each_hand_learns_of_the_other():
    block = EABlock(16).eval()
    features = torch.randn(1, 2, 16, 4, 4, requires_grad=True)
    for side in range(2):
        (gradient,) = torch.autograd.grad(block(features)[:, side].square().sum(), features)
        assert (gradient.abs().sum((0, 2, 3, 4)) > 0).all()


def test_hands_with_the_same_weights_and_maps_are_the_same():
    """Nothing but its weights and its map tells a hand from the other."""
    block = EABlock(16).eval()
    for part in (block.adapt, block.mix):
        part[1] = copy.deepcopy(part[0])
    one = torch.randn(1, 1, 16, 4, 4).expand(-1, 2, -1, -1, -1)
    right, left = block(one).unbind(1)
    assert_close(right, left)


def test_it_has_no_refined_mesh(hand_model):
    config = EANetConfig(backbone="efficientnet_lite0", channels=16, self_joint_depth=1)
    prediction = build_network(config, hand_model).eval()(*crops(2, 64))
    assert torch.equal(prediction.vertices, prediction.rough_vertices)
    assert torch.equal(prediction.joints, prediction.rough_joints)
