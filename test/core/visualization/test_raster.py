"""Rasterisation: comparison with a per-pixel reference in double precision, coverage, interpolation and culling."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lgnet_core.visualization.raster import NEAR_PLANE, depth_map, rasterize

HEIGHT, WIDTH = 20, 28


def reference(vertices, faces, height, width):
    """Per face and pixel: smallest barycentric weight (>= 0 inside), depth, perspective-correct weights."""
    grid_v, grid_u = np.mgrid[:height, :width].astype(float)
    margins, depths, weights = [], [], []
    for face in faces:
        (u0, v0, z0), (u1, v1, z1), (u2, v2, z2) = vertices[face]
        area = (u1 - u0) * (v2 - v0) - (u2 - u0) * (v1 - v0)
        w1 = ((grid_u - u0) * (v2 - v0) - (grid_v - v0) * (u2 - u0)) / area
        w2 = ((u1 - u0) * (grid_v - v0) - (v1 - v0) * (grid_u - u0)) / area
        w = np.stack([1 - w1 - w2, w1, w2], -1)
        q = w / np.array([z0, z1, z2])
        margins.append(w.min(-1))
        depths.append(1 / q.sum(-1))
        weights.append(q / q.sum(-1, keepdims=True))
    return np.stack(margins), np.stack(depths), np.stack(weights)


def triangle_soup(seed, count=12):
    generator = np.random.default_rng(seed)
    centre = generator.uniform((-4, -4, 0.3), (WIDTH + 4, HEIGHT + 4, 2.0), (count, 1, 3))
    spread = generator.uniform(0.5, 14, (count, 1, 1)) * np.array([1, 1, 0.01])
    vertices = centre + generator.normal(0, 1, (count, 3, 3)) * spread
    return vertices.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3)


def dense(fragments, values, batch, height, width):
    canvas = torch.full((batch, height, width, *values.shape[1:]), -1.0)
    canvas.view(-1, *values.shape[1:])[fragments.pixel] = values.float()
    return canvas


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_triangles_match_the_reference(seed):
    """Face, depth and weights at every pixel that is clearly inside or outside every triangle."""
    vertices, faces = triangle_soup(seed)
    drawable = vertices[faces][..., 2].min(1) >= NEAR_PLANE + 1e-3
    margins, depths, weights = reference(vertices, faces, HEIGHT, WIDTH)
    margins[~drawable] = -1
    fragments = rasterize(torch.tensor(vertices)[None].float(), torch.tensor(faces), HEIGHT, WIDTH)
    face = dense(fragments, fragments.face, 1, HEIGHT, WIDTH)[0].numpy().astype(int)
    depth = dense(fragments, fragments.depth, 1, HEIGHT, WIDTH)[0].numpy()
    weight = dense(fragments, fragments.barycentric.T, 1, HEIGHT, WIDTH)[0].numpy()

    candidates = np.where(margins >= 0, depths, np.inf)
    expected = np.where(np.isfinite(candidates.min(0)), candidates.argmin(0), -1)
    nearest_two = np.sort(candidates, 0)[:2]
    with np.errstate(invalid="ignore"):
        tie = np.nan_to_num(nearest_two[1] - nearest_two[0], nan=1.0) < 1e-5
    clear = (np.abs(margins) > 1e-4).all(0) & ~tie
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(face[clear], expected[clear])
    covered = clear & (expected >= 0)
    rows, columns = np.nonzero(covered)
    faces = expected[covered]
    np.testing.assert_allclose(depth[covered], depths[faces, rows, columns], rtol=2e-4)
    np.testing.assert_allclose(weight[covered], weights[faces, rows, columns], atol=2e-3)


def plane_grid(corners, cells):
    """A bilinear patch between four (u, v, z) corners: (cells + 1)^2 vertices and 2 cells^2 faces."""
    axis = torch.linspace(0, 1, cells + 1, dtype=torch.float64)
    t, s = torch.meshgrid(axis, axis, indexing="ij")
    s, t = s.reshape(-1, 1), t.reshape(-1, 1)
    a, b, c, d = corners
    points = (1 - s) * (1 - t) * a + s * (1 - t) * b + (1 - s) * t * c + s * t * d
    number = torch.arange((cells + 1) ** 2).view(cells + 1, cells + 1)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    return points, torch.cat([torch.stack([a, c, b], -1).view(-1, 3), torch.stack([b, c, d], -1).view(-1, 3)])


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), cells=st.integers(1, 40))
def test_adjacent_triangles_leave_no_gaps(seed, cells):
    """A random triangulation that extends over the whole image covers every pixel."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.tensor([[-9, -9, 1], [WIDTH + 8, -9, 1], [-9, HEIGHT + 8, 1], [WIDTH + 8, HEIGHT + 8, 1]])
    points, faces = plane_grid(corners.double(), cells)
    jitter = torch.rand(len(points), 2, generator=generator, dtype=torch.float64) - 0.5
    points[:, :2] += 0.6 * jitter * (WIDTH / cells if cells > 3 else 1)
    fragments = rasterize(points.float()[None], faces, HEIGHT, WIDTH)
    assert len(fragments.pixel) == HEIGHT * WIDTH


def test_vertices_on_pixel_centres_leave_no_gaps():
    corners = torch.tensor([[0.0, 0, 1], [12, 0, 1], [0, 12, 1], [12, 12, 1]])
    for cells in (1, 2, 3, 4, 6, 12):
        points, faces = plane_grid(corners.double(), cells)
        assert len(rasterize(points.float()[None], faces, HEIGHT, WIDTH).pixel) == 13 * 13


def test_interpolation_is_perspective_correct():
    """On a slanted plane: attributes that are linear in space are exact at the intersection of ray and plane."""
    focal, centre = 40.0, torch.tensor([13.3, 9.1])
    corners = torch.tensor([[-0.4, -0.3, 0.5], [0.5, -0.4, 1.5], [-0.5, 0.4, 0.7], [0.6, 0.5, 1.7]])
    corners[3] = corners[1] + corners[2] - corners[0]
    points, faces = plane_grid(corners.double(), 3)
    pixels = torch.cat([points[:, :2] / points[:, 2:] * focal + centre, points[:, 2:]], 1)
    fragments = rasterize(pixels.float()[None], faces, HEIGHT, WIDTH)
    interpolated = fragments.interpolate(points.float().T[:, None].contiguous(), faces)  # (3, N)
    normal = torch.linalg.cross(corners[1] - corners[0], corners[2] - corners[0])
    v, u = fragments.pixel // WIDTH, fragments.pixel % WIDTH
    ray = torch.stack([(u - centre[0]) / focal, (v - centre[1]) / focal, torch.ones(len(u))], 1)
    depth = (corners[0] @ normal) / (ray @ normal)
    assert len(u) > 100
    torch.testing.assert_close(fragments.depth, depth, rtol=1e-5, atol=0)
    torch.testing.assert_close(interpolated.T, ray * depth[:, None], rtol=0, atol=2e-6)


def test_culling_keeps_front_faces():
    front = torch.tensor([[[2.0, 2, 1], [2, 12, 1], [12, 2, 1]]])  # counter-clockwise as seen, v down
    faces = torch.tensor([[0, 1, 2]])
    assert len(rasterize(front, faces, HEIGHT, WIDTH, cull=True).pixel) > 0
    assert len(rasterize(front, faces.flip(1), HEIGHT, WIDTH, cull=True).pixel) == 0
    assert len(rasterize(front, faces.flip(1), HEIGHT, WIDTH).pixel) > 0


def test_masked_near_and_off_screen_faces_are_dropped():
    soup = torch.tensor([[0.0, 0, 1], [0, 9, 1], [9, 0, 1], [0, 0, NEAR_PLANE / 2], [0, 9, 1], [9, 0, 1]])
    faces = torch.tensor([[0, 1, 2], [3, 4, 5]])
    both = soup.expand(2, -1, -1)
    fragments = rasterize(both, faces, HEIGHT, WIDTH, torch.tensor([[True, True], [False, True]]))
    assert set(fragments.face.tolist()) == {0}
    assert set(fragments.batch.tolist()) == {0}
    behind = soup.clone()
    behind[:, 2] = torch.tensor([-1.0, -1, -1, float("nan"), 1, 1])
    assert len(rasterize(behind[None], faces, HEIGHT, WIDTH).pixel) == 0
    assert len(rasterize(soup[None] + torch.tensor([1e5, 0, 0]), faces, HEIGHT, WIDTH).pixel) == 0


def test_scatter_writes_to_the_covered_pixels():
    vertices = torch.tensor([[[1.0, 1, 1], [1, 5, 1], [5, 1, 1]], [[3.0, 3, 1], [3, 4, 1], [4, 3, 1]]])
    fragments = rasterize(vertices, torch.tensor([[0, 1, 2]]), HEIGHT, WIDTH)
    values = torch.arange(2.0 * len(fragments.pixel)).view(2, -1)
    planes = fragments.scatter(values, torch.full((2, 2, HEIGHT, WIDTH), -1.0))
    for channel in range(2):
        alone = fragments.scatter(values[channel], torch.full((2, HEIGHT, WIDTH), -1.0))
        assert torch.equal(planes[:, channel], alone)
    assert (planes[1, 0] >= 0).nonzero().tolist() == [[3, 3], [3, 4], [4, 3]]


def test_orthographic_depth_is_linear():
    corners = torch.tensor([[1.0, 1, 1], [13, 1, 3], [1, 13, 2], [13, 13, 4]])
    points, faces = plane_grid(corners.double(), 2)
    depth = depth_map(points.float()[None], faces, HEIGHT, WIDTH)[0]
    v, u = torch.meshgrid(torch.arange(1.0, 14), torch.arange(1.0, 14), indexing="ij")
    torch.testing.assert_close(depth[1:14, 1:14], 1 + (u - 1) / 6 + (v - 1) / 12)
    assert torch.isinf(depth).sum() == HEIGHT * WIDTH - 169


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_matches_the_cpu():
    vertices, faces = triangle_soup(3, 200)
    vertices, faces = torch.tensor(vertices)[None].float(), torch.tensor(faces)
    cpu = rasterize(vertices, faces, HEIGHT, WIDTH)
    cuda = rasterize(vertices.cuda(), faces.cuda(), HEIGHT, WIDTH)
    on_cpu, on_cuda = (dense(f, f.face.cpu(), 1, HEIGHT, WIDTH) for f in (cpu, cuda._replace(pixel=cuda.pixel.cpu())))
    assert (on_cpu != on_cuda).float().mean() < 0.01


def test_numpy_and_torch_give_the_same_fragments(hand_model):
    """To the last pixel: overlays are drawn by numpy, training images by torch."""
    vertices = hand_model.v_template[:1] * 900 + torch.tensor([90.0, 40.0, 600.0])
    vertices[..., 2] /= 1000
    vertices = vertices.contiguous()
    faces = hand_model.faces[0]
    expected = rasterize(vertices, faces, 96, 128)
    assert len(expected.pixel) > 1000
    actual = rasterize(vertices.numpy(), faces.numpy(), 96, 128)
    for name in ("pixel", "batch", "face"):
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name))
    np.testing.assert_allclose(actual.barycentric, expected.barycentric, atol=1e-4)
    np.testing.assert_allclose(actual.depth, expected.depth, rtol=1e-5)
    depth, reference = depth_map(vertices.numpy(), faces.numpy(), 96, 128), depth_map(vertices, faces, 96, 128)
    np.testing.assert_allclose(depth, reference, rtol=1e-5)
