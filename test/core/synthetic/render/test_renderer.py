"""Renderer: agreement of label maps with the geometry, determinism, absent hands, near plane."""

import copy

import pytest
import torch
from torch.nn.functional import max_pool2d

from lgnet_core.data.sample import ARM, BACKGROUND, LEFT_HAND, RIGHT_HAND
from lgnet_core.geometry.camera import project
from lgnet_core.hand_model.anatomy import angles_to_rotations
from lgnet_core.hand_model.finger_poses import preset
from lgnet_core.synthetic.render.renderer import Renderer
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.types import Side
from lgnet_core.visualization.raster import NEAR_PLANE

SIZE = 128
COUNT = 6


@pytest.fixture(scope="module")
def renderer(hand_model):
    return Renderer(hand_model)


@pytest.fixture(scope="module")
def scene(hand_model):
    """Vertices, presence and intrinsics of a few images: half-closed, randomly rotated hands at 60 cm, 12 cm apart."""
    rng = CounterRng(11, torch.arange(COUNT))
    angles = torch.stack([preset("relaxed"), preset("open")]).expand(COUNT, -1, -1, -1)
    rotations = angles_to_rotations(angles)
    rotations = torch.cat([rng.rotation("root", 2)[:, :, None], rotations[:, :, 1:]], 2)
    mesh = hand_model(rotations, rng.normal("shape", 2, 10, std=0.5)).wrist_relative()
    positions = torch.tensor([[-0.06, 0.0, 0.6], [0.06, 0.0, 0.6]])
    vertices = mesh.vertices - mesh.vertices.mean(2, keepdim=True) + positions[:, None]
    intrinsics = torch.tensor([[200.0, 3.0, 60.0], [0.0, 215.0, 66.0], [0.0, 0.0, 1.0]]).expand(COUNT, 3, 3)
    return vertices, torch.ones(COUNT, 2, dtype=torch.bool), intrinsics


def render(renderer, scene, indices=None, seed=5, **changes):
    vertices, presence, intrinsics = scene
    presence = changes.get("presence", presence)
    vertices = changes.get("vertices", vertices)
    indices = torch.arange(COUNT) if indices is None else indices
    return renderer.render(
        vertices[indices], presence[indices], intrinsics[indices], SIZE, SIZE - 16, CounterRng(seed, indices)
    )


def test_render_outputs_have_consistent_types_and_ranges(renderer, scene):
    rendered = render(renderer, scene)
    assert rendered.image.shape == (COUNT, 3, SIZE, SIZE - 16)
    assert rendered.image.dtype == torch.float32
    assert rendered.image.min() >= 0
    assert rendered.image.max() <= 1
    assert rendered.segmentation.dtype == torch.uint8
    assert set(rendered.segmentation.unique().tolist()) == {BACKGROUND, RIGHT_HAND, LEFT_HAND, ARM}
    assert torch.equal(rendered.depth > 0, rendered.segmentation != BACKGROUND)
    assert rendered.image.std() > 0.05


def test_extreme_vertices_lie_on_mask_border(renderer, scene):
    """For a single hand, the extent of its projected vertices in any direction matches that of its mask to 1 px."""
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
                mask_extent = torch.stack([u, v], 1).float() @ direction
                arm = torch.stack([arm_u, arm_v], 1).float() @ direction
                if len(arm) and arm.max() > furthest - 6:  # the outline may be occluded or extended by the arm
                    continue
                # pixel centres are inside of the outline, which may extend up to a pixel (0.7 diagonally) beyond
                assert -0.05 <= furthest - mask_extent.max() <= 1.45
                checked += 1
        assert checked > 30


def test_visible_vertices_lie_on_mask_of_their_hand(renderer, scene):
    """Vertices at the rendered depth lie within 1 px of the mask of their hand; none is nearer than the depth map."""
    vertices, _, intrinsics = scene
    rendered = render(renderer, scene)
    surface_depth = torch.where(rendered.depth > 0, rendered.depth, torch.inf)
    nearest = -max_pool2d(-surface_depth, 3, 1, 1)  # of the pixel and its neighbours
    for side in Side:
        pixels = project(vertices[:, side], intrinsics)
        near_mask = max_pool2d((rendered.segmentation == RIGHT_HAND + side).float(), 3, 1, 1)
        for k in range(COUNT):
            u, v = pixels[k].round().long().unbind(1)
            inside = (u > 1) & (u < SIZE - 18) & (v > 1) & (v < SIZE - 2)
            u, v, depth = u[inside], v[inside], vertices[k, side, inside, 2]
            assert (nearest[k, v, u] < depth + 0.004).all()
            visible = (depth - surface_depth[k, v, u]).abs() < 0.001
            if visible.sum() > 20:  # touching hands may have the same depth
                assert near_mask[k, v[visible], u[visible]].mean() > 0.99


def test_image_is_independent_of_batch(renderer, scene):
    together = render(renderer, scene)
    for subset in (torch.tensor([4]), torch.tensor([5, 0, 3])):
        some = render(renderer, scene, subset)
        assert torch.equal(some.segmentation, together.segmentation[subset])
        torch.testing.assert_close(some.depth, together.depth[subset], rtol=0, atol=1e-6)
        torch.testing.assert_close(some.image, together.image[subset], rtol=0, atol=1e-5)
    again = render(renderer, scene)
    assert torch.equal(again.image, together.image)


def test_seed_changes_appearance_but_not_geometry(renderer, scene):
    one, other = render(renderer, scene, seed=1), render(renderer, scene, seed=2)
    assert (one.image - other.image).abs().mean() > 0.05
    hands = [(p.segmentation == RIGHT_HAND).sum() + (p.segmentation == LEFT_HAND).sum() for p in (one, other)]
    assert abs(hands[0] - hands[1]) < 0.3 * hands[0]  # up to occlusion by arms and sleeves


def test_absent_hand_is_not_rendered(renderer, scene):
    presence = torch.tensor([[True, False], [False, True], [False, False]] * 2)
    rendered = render(renderer, scene, presence=presence)
    for k, (right, left) in enumerate(presence.tolist()):
        assert (rendered.segmentation[k] == RIGHT_HAND).any() == right
        assert (rendered.segmentation[k] == LEFT_HAND).any() == left
        if not (right or left):
            assert (rendered.segmentation[k] == BACKGROUND).all()
            assert (rendered.depth[k] == 0).all()
    moved = scene[0].clone()
    moved[~presence] = float("nan")  # vertices of absent hands must be ignored
    same = render(renderer, scene, presence=presence, vertices=moved)
    assert torch.equal(same.image, rendered.image)


def test_near_plane_and_hands_behind_camera(renderer, scene):
    vertices = scene[0].clone()
    vertices[:2, :, :, 2] -= 0.6  # half of each hand behind the camera
    vertices[2:4, :, :, 2] -= 2.0
    rendered = render(renderer, scene, vertices=vertices)
    assert torch.isfinite(rendered.image).all()
    assert (rendered.segmentation[2:4] == BACKGROUND).all()
    assert (rendered.depth[rendered.depth > 0] >= NEAR_PLANE).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_and_cpu_images_match(hand_model, renderer, scene):
    on_gpu = Renderer(copy.deepcopy(hand_model), "cuda")
    vertices, presence, intrinsics = (t.cuda() for t in scene)
    rng = CounterRng(5, torch.arange(COUNT), "cuda")
    present = on_gpu.render(vertices, presence, intrinsics, SIZE, SIZE - 16, rng)
    here = render(renderer, scene)
    assert (present.segmentation.cpu() != here.segmentation).float().mean() < 1e-3
    assert (present.image.cpu() - here.image).abs().mean() < 2e-3
