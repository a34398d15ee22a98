"""What the renderer says is seen agrees with the geometry it was given, and depends on nothing else."""

import copy

import pytest
import torch
from torch.nn.functional import max_pool2d

from lgnet_core.data.sample import ARM, BACKGROUND, LEFT_HAND, RIGHT_HAND
from lgnet_core.geometry.camera import project
from lgnet_core.hand_model.anatomy import angles_to_rotations, preset
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.render.renderer import Renderer
from lgnet_core.types import Side
from lgnet_core.visualization.raster import NEAR

SIZE = 128
COUNT = 6


@pytest.fixture(scope="module")
def renderer(hand_model):
    return Renderer(hand_model)


@pytest.fixture(scope="module")
def scene(hand_model):
    """Vertices, presence and K of a few images: half-closed hands, turned at random, 12 cm apart, 60 cm away."""
    draws = Draws(11, torch.arange(COUNT))
    angles = torch.stack([preset("relaxed"), preset("open")]).expand(COUNT, -1, -1, -1)
    rotations = angles_to_rotations(angles)
    rotations = torch.cat([draws.rotation("root", 2)[:, :, None], rotations[:, :, 1:]], 2)
    mesh = hand_model(rotations, draws.normal("shape", 2, 10, std=0.5)).wrist_relative()
    place = torch.tensor([[-0.06, 0.0, 0.6], [0.06, 0.0, 0.6]])
    vertices = mesh.vertices - mesh.vertices.mean(2, keepdim=True) + place[:, None]
    intrinsics = torch.tensor([[200.0, 3.0, 60.0], [0.0, 215.0, 66.0], [0.0, 0.0, 1.0]]).expand(COUNT, 3, 3)
    return vertices, torch.ones(COUNT, 2, dtype=torch.bool), intrinsics


def render(renderer, scene, indices=None, seed=5, **changes):
    vertices, presence, intrinsics = scene
    presence = changes.get("presence", presence)
    vertices = changes.get("vertices", vertices)
    indices = torch.arange(COUNT) if indices is None else indices
    return renderer.render(
        vertices[indices], presence[indices], intrinsics[indices], SIZE, SIZE - 16, Draws(seed, indices)
    )


def test_types_ranges_and_agreement_of_the_maps(renderer, scene):
    rendered = render(renderer, scene)
    assert rendered.image.shape == (COUNT, 3, SIZE, SIZE - 16)
    assert rendered.image.dtype == torch.float32
    assert rendered.image.min() >= 0
    assert rendered.image.max() <= 1
    assert rendered.segmentation.dtype == torch.uint8
    assert set(rendered.segmentation.unique().tolist()) == {BACKGROUND, RIGHT_HAND, LEFT_HAND, ARM}
    assert torch.equal(rendered.depth > 0, rendered.segmentation != BACKGROUND)
    assert rendered.image.std() > 0.05


def test_outermost_vertices_lie_at_the_border_of_their_mask(renderer, scene):
    """Of a hand alone, the projected vertices furthest in any direction are within 1 px of the mask's own extent."""
    vertices, _, intrinsics = scene
    for side in Side:
        alone = torch.zeros(COUNT, 2, dtype=torch.bool)
        alone[:, side] = True
        segmentation = render(renderer, scene, presence=alone).segmentation
        pixels = project(vertices[:, side], intrinsics)
        inside = ((pixels > 2) & (pixels < torch.tensor([SIZE - 18.0, SIZE - 2.0]))).all(-1).all(1)
        checked = 0
        for k in range(COUNT):
            v, u = (segmentation[k] == RIGHT_HAND + side).nonzero().unbind(1)
            arm_v, arm_u = (segmentation[k] == ARM).nonzero().unbind(1)
            if not inside[k]:
                continue
            for angle in torch.arange(0, 6.28, 0.2):
                direction = torch.stack([angle.cos(), angle.sin()])
                furthest = (pixels[k] @ direction).max()
                seen = torch.stack([u, v], 1).float() @ direction
                arm = torch.stack([arm_u, arm_v], 1).float() @ direction
                if len(arm) and arm.max() > furthest - 6:  # the arm may hide or carry on the outline there
                    continue
                # a pixel's centre lies inside; the outline may pass up to one pixel (0.7 diagonally) beyond it
                assert -0.05 <= furthest - seen.max() <= 1.45
                checked += 1
        assert checked > 30


def test_unhidden_vertices_lie_on_their_own_mask(renderer, scene):
    """A vertex as near as what is drawn at its pixel lies within 1 px of its hand's mask; none is nearer than that."""
    vertices, _, intrinsics = scene
    rendered = render(renderer, scene)
    drawn = torch.where(rendered.depth > 0, rendered.depth, torch.inf)
    nearest = -max_pool2d(-drawn, 3, 1, 1)  # of the pixel and its neighbours
    for side in Side:
        pixels = project(vertices[:, side], intrinsics)
        near_mask = max_pool2d((rendered.segmentation == RIGHT_HAND + side).float(), 3, 1, 1)
        for k in range(COUNT):
            u, v = pixels[k].round().long().unbind(1)
            inside = (u > 1) & (u < SIZE - 18) & (v > 1) & (v < SIZE - 2)
            u, v, depth = u[inside], v[inside], vertices[k, side, inside, 2]
            assert (nearest[k, v, u] < depth + 0.004).all()
            unhidden = (depth - drawn[k, v, u]).abs() < 0.001
            if unhidden.sum() > 20:  # where hands touch, the other may lie at the very same depth
                assert near_mask[k, v[unhidden], u[unhidden]].mean() > 0.99


def test_a_image_is_the_same_in_any_batch(renderer, scene):
    together = render(renderer, scene)
    for subset in (torch.tensor([4]), torch.tensor([5, 0, 3])):
        some = render(renderer, scene, subset)
        assert torch.equal(some.segmentation, together.segmentation[subset])
        torch.testing.assert_close(some.depth, together.depth[subset], rtol=0, atol=1e-6)
        torch.testing.assert_close(some.image, together.image[subset], rtol=0, atol=1e-5)
    again = render(renderer, scene)
    assert torch.equal(again.image, together.image)


def test_looks_change_with_the_seed_but_not_the_hands(renderer, scene):
    one, other = render(renderer, scene, seed=1), render(renderer, scene, seed=2)
    assert (one.image - other.image).abs().mean() > 0.05
    hands = [(p.segmentation == RIGHT_HAND).sum() + (p.segmentation == LEFT_HAND).sum() for p in (one, other)]
    assert abs(hands[0] - hands[1]) < 0.3 * hands[0]  # but for what arms and sleeves hide


def test_an_absent_hand_leaves_no_trace(renderer, scene):
    presence = torch.tensor([[True, False], [False, True], [False, False]] * 2)
    rendered = render(renderer, scene, presence=presence)
    for k, (right, left) in enumerate(presence.tolist()):
        assert (rendered.segmentation[k] == RIGHT_HAND).any() == right
        assert (rendered.segmentation[k] == LEFT_HAND).any() == left
        if not (right or left):
            assert (rendered.segmentation[k] == BACKGROUND).all()
            assert (rendered.depth[k] == 0).all()
    moved = scene[0].clone()
    moved[~presence] = float("nan")  # whatever stands in for an absent hand
    same = render(renderer, scene, presence=presence, vertices=moved)
    assert torch.equal(same.image, rendered.image)


def test_hands_at_and_behind_the_camera_are_left_out(renderer, scene):
    vertices = scene[0].clone()
    vertices[:2, :, :, 2] -= 0.6  # half of each hand behind the camera
    vertices[2:4, :, :, 2] -= 2.0
    rendered = render(renderer, scene, vertices=vertices)
    assert torch.isfinite(rendered.image).all()
    assert (rendered.segmentation[2:4] == BACKGROUND).all()
    assert (rendered.depth[rendered.depth > 0] >= NEAR).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_draws_the_same_image(hand_model, renderer, scene):
    on_gpu = Renderer(copy.deepcopy(hand_model), "cuda")
    vertices, presence, intrinsics = (t.cuda() for t in scene)
    draws = Draws(5, torch.arange(COUNT), "cuda")
    there = on_gpu.render(vertices, presence, intrinsics, SIZE, SIZE - 16, draws)
    here = render(renderer, scene)
    assert (there.segmentation.cpu() != here.segmentation).float().mean() < 1e-3
    assert (there.image.cpu() - here.image).abs().mean() < 2e-3
