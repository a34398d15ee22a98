"""Generator: consistency of labels with rendered images, and determinism."""

from dataclasses import fields

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from lgnet_core.data.sample import ARM, HandsBatch
from lgnet_core.geometry.camera import project
from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.render.renderer import Renderer
from lgnet_core.synthetic.rng import CounterRng

COUNT, SIZE = 24, 256


class RecordingRenderer(Renderer):
    """Renderer that keeps its last output, for the depth map."""

    def render(self, *args, **kwargs):
        self.last = super().render(*args, **kwargs)
        return self.last


@pytest.fixture(scope="module")
def generator(hand_model) -> SyntheticHands:
    generator = SyntheticHands(seed=11, hand_model=hand_model)
    generator.renderer = RecordingRenderer(hand_model, "cpu")
    return generator


@pytest.fixture(scope="module")
def crops(generator) -> tuple[HandsBatch, Tensor]:
    batch = generator.crops(torch.arange(COUNT), SIZE)
    return batch, generator.renderer.last.depth


def silhouettes(batch: HandsBatch, hand_model: HandModel) -> list[tuple[int, int, Tensor, Tensor, Tensor]]:
    """Per present hand: image, side, pixels (K, 2) of silhouette vertices, outward directions and depths.

    A vertex is on the silhouette if it has front- and back-facing faces. The open wrist, which the arm extends, is
    excluded.
    """
    labels = batch.labels(hand_model)
    result = []
    for k, side in batch.presence.nonzero().tolist():
        vertices, faces = labels.vertices[k, side], hand_model.faces[side]
        a, b, c = vertices[faces].unbind(1)
        normals = torch.linalg.cross(b - a, c - a)
        frontal = (normals * a).sum(-1) < 0  # seen from the camera
        front, back = torch.zeros(778, dtype=torch.bool), torch.zeros(778, dtype=torch.bool)
        front[faces[frontal].flatten()] = True
        back[faces[~frontal].flatten()] = True
        direction = torch.zeros(778, 3).index_add(0, faces.flatten(), normals.repeat_interleave(3, 0))
        root_weight = hand_model.weights[side, :, 0]
        rest = hand_model.v_template[side] - hand_model.rest_joints[side, 0]
        inward = rest @ torch.nn.functional.normalize(
            hand_model.rest_joints[side, 4] - hand_model.rest_joints[side, 0], dim=0
        )
        keep = front & back & ((root_weight < 0.9) | (inward > 0.025))
        outward = torch.nn.functional.normalize(direction[keep, :2], dim=-1)
        result.append((k, side, project(vertices[keep], batch.intrinsics[k]), outward, vertices[keep, 2]))
    return result


def border_points(mask: Tensor) -> Tensor:
    """Points (N, 2) halfway between neighbouring pixels of which exactly one is in the mask (H, W), pixels."""
    across = (mask[:, 1:] != mask[:, :-1]).nonzero().flip(1) + torch.tensor([0.5, 0.0])
    down = (mask[1:] != mask[:-1]).nonzero().flip(1) + torch.tensor([0.0, 0.5])
    return torch.cat([across, down])


def at(image: Tensor, pixels: Tensor) -> Tensor:
    """Values of (H, W) at the nearest pixels (N, 2)."""
    u, v = (pixels + 0.5).floor().long().unbind(-1)
    return image[v.clamp(0, image.shape[0] - 1), u.clamp(0, image.shape[1] - 1)]


def covered(points: Tensor, triangles: Tensor) -> Tensor:
    """Mask (K,) of points (K, 2) that lie in any of the projected triangles (F, 3, 2)."""
    edges = triangles.roll(-1, 1) - triangles
    out = points[:, None, None] - triangles  # (K, F, 3, 2)
    turns = edges[..., 0] * out[..., 1] - edges[..., 1] * out[..., 0]
    return ((turns >= 0).all(-1) | (turns <= 0).all(-1)).any(1)


def silhouette_errors(batch: HandsBatch, depth: Tensor, hand_model: HandModel, shift: float = 0.0) -> Tensor:
    """Distances from silhouette vertices to the border of the mask, pixels.

    Vertices on the outline of the hands are identified from the meshes: half a pixel further out there is no projected
    triangle. Vertices near an arm or occluded by another surface are excluded.
    """
    errors = []
    labels = batch.labels(hand_model)
    for k, side, pixels, outward, z in silhouettes(batch, hand_model):
        projected = project(labels.vertices[k], batch.intrinsics[k])  # (2, 778, 2)
        triangles = torch.cat([projected[h][hand_model.faces[h]] for h in range(2) if batch.presence[k, h]])
        outline = ~covered(pixels + 0.5 * outward, triangles)
        surface = torch.stack([at(depth[k], pixels - step * outward) for step in (0, 1, 2)])
        unoccluded = ((surface > z - 3e-3) | (surface == 0)).all(0)
        armless = torch.stack([at(batch.segmentation[k], pixels + step * outward) != ARM for step in range(-4, 5)])
        inside = ((pixels > 5) & (pixels < SIZE - 6)).all(-1)
        chosen = inside & outline & unoccluded & armless.all(0)
        if chosen.any():
            border = border_points(batch.segmentation[k] == side + 1)
            errors.append(torch.cdist(pixels[chosen] + shift, border).amin(1))
    return torch.cat(errors)


def test_silhouette_vertices_lie_on_mask_border(crops, hand_model):
    batch, depth = crops
    errors = silhouette_errors(batch, depth, hand_model)
    assert len(errors) > 300
    assert errors.max() <= 1.0
    assert errors.mean() < 0.4
    # Sensitivity: labels shifted by one and a half pixels fail.
    assert silhouette_errors(batch, depth, hand_model, shift=1.5).max() > 1.0


def test_depth_map_matches_ray_casting(crops, hand_model):
    """Rays through the pixels of a hand intersect its mesh at the rendered depth, to 1e-4 m."""
    batch, depth = crops
    labels = batch.labels(hand_model)
    checked = 0
    for k, side in batch.presence.nonzero().tolist()[:8]:
        rows, columns = (batch.segmentation[k] == side + 1).nonzero()[::97].unbind(1)
        pixels = torch.stack([columns, rows], -1).double()
        intrinsics = batch.intrinsics[k].double()
        rays = torch.cat([pixels, torch.ones(len(pixels), 1)], -1) @ torch.linalg.inv(intrinsics).T
        triangles = labels.vertices[k, side].double()[hand_model.faces[side]]
        a, ab, ac = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
        # Moeller-Trumbore intersection of all rays with all triangles: t r = a + u ab + v ac
        p = torch.linalg.cross(rays[:, None].expand(-1, len(a), -1), ac.expand(len(rays), -1, -1))
        determinant = (p * ab).sum(-1)
        u = -(p * a).sum(-1) / determinant
        q = torch.linalg.cross(-a, ab)
        v = (rays[:, None] * q).sum(-1) / determinant
        t = (ac * q).sum(-1) / determinant
        hit = (u > -1e-9) & (v > -1e-9) & (u + v < 1 + 1e-9) & (t > 0)
        nearest = t.masked_fill(~hit, torch.inf).amin(1)
        met = nearest.isfinite()
        assert met.float().mean() > 0.98  # rays at silhouettes may miss by rounding
        error = (nearest - depth[k][rows, columns]).abs()[met]
        assert error.max() < 1e-4
        checked += int(met.sum())
    assert checked > 300


def test_2d_and_3d_joints_agree(crops, hand_model):
    batch, _ = crops
    labels = batch.labels(hand_model)
    homogeneous = labels.joints @ batch.intrinsics[:, None].transpose(-1, -2)
    pixels = homogeneous[..., :2] / homogeneous[..., 2:]
    here = batch.presence[..., None, None].expand_as(pixels)
    assert_close(labels.joints_2d[here], pixels[here], atol=1e-3, rtol=1e-5)
    assert_close(labels.joints[:, :, 0], batch.wrist, atol=1e-5, rtol=0)
    assert_close(labels.relative_translation, labels.joints[:, 1, 0] - labels.joints[:, 0, 0], atol=1e-5, rtol=0)
    tips = labels.vertices[:, :, hand_model.tip_vertices]
    assert_close(labels.joints[:, :, [4, 8, 12, 16, 20]], tips, atol=1e-5, rtol=0)


def test_rendered_vertices_match_labels(generator, hand_model):
    """The meshes passed to the renderer are those of the label parameters, to 1e-4 m."""
    rendered = {}
    original = generator.renderer.render

    def record(vertices, *rest):
        rendered["vertices"] = vertices
        return original(vertices, *rest)

    generator.renderer.render = record
    try:
        batch = generator.crops(torch.arange(6), 64)
    finally:
        del generator.renderer.render
    assert_close(rendered["vertices"], batch.labels(hand_model).vertices, atol=1e-4, rtol=0)


def test_visible_joints_are_not_behind_surface(crops, hand_model):
    batch, depth = crops
    joints, pixels = batch.labels(hand_model).joints, batch.labels(hand_model).joints_2d
    visible_fractions = []
    for k, side in batch.presence.nonzero().tolist():
        visible = batch.visibility[k, side]
        inside = ((pixels[k, side] >= -0.5) & (pixels[k, side] < SIZE - 0.5)).all(-1)
        assert not (visible & ~inside).any()
        surface = at(depth[k], pixels[k, side])
        behind = (joints[k, side, :, 2] - surface) * (surface > 0)
        assert (behind[visible & (surface > 0)] < 0.04).all()
        assert not visible[inside & (behind > 0.05)].any()
        visible_fractions.append(visible.float().mean())
    assert 0.4 < torch.stack(visible_fractions).mean() < 0.95
    assert not batch.visibility[~batch.presence].any()


def test_crop_maps_to_full_image_with_undistorted_camera(generator, hand_model):
    """The inverse affine map of a crop gives the full image of a camera without skew."""
    batch = generator.crops(torch.arange(8), SIZE)
    labels = batch.labels(hand_model)
    linear = torch.linalg.inv(batch.affine[:, :, :2])
    turn = batch.affine[:, :, :2] / torch.linalg.det(batch.affine[:, :, :2]).sqrt()[:, None, None]
    full_k = torch.zeros(8, 3, 3)
    full_k[:, :2, :2] = linear @ batch.intrinsics[:, :2, :2] @ turn
    full_k[:, :2, 2] = (linear @ (batch.intrinsics[:, :2, 2] - batch.affine[:, :, 2])[..., None])[..., 0]
    full_k[:, 2, 2] = 1
    assert (full_k[:, 0, 1].abs() < 0.1).all()  # no skew
    assert_close(full_k[:, 0, 0], full_k[:, 1, 1], rtol=1e-3, atol=0.1)
    upright = torch.cat([labels.joints[..., :2] @ turn[:, None], labels.joints[..., 2:]], -1)
    full = project(upright, full_k[:, None])
    cut = full @ batch.affine[:, None, :, :2].transpose(-1, -2) + batch.affine[:, None, None, :, 2]
    here = batch.presence[..., None, None].expand_as(cut)
    assert_close(cut[here], labels.joints_2d[here], atol=0.05, rtol=0)


def test_full_images_have_requested_size(generator):
    batch = generator.images(torch.arange(2), width=160, height=96)
    assert batch.image.shape == (2, 3, 96, 160)
    assert batch.segmentation.shape == (2, 96, 160)
    assert_close(batch.affine, torch.eye(3)[:2].expand(2, 2, 3))


def test_noise_of_upscaled_crops_is_coarse(generator):
    """A crop upscaled k times is captured at 1 / k of its size: noise varies between blocks of k pixels, not within."""
    grey = torch.full((COUNT, 3, SIZE, SIZE), 0.5)
    rng = CounterRng(3, torch.arange(COUNT))
    roughness = []
    for factor in (1, 4):
        affine = torch.eye(3)[:2].expand(COUNT, 2, 3) * factor
        captured = generator._capture(grey, affine, rng)
        within = (captured[..., 1::4] - captured[..., 2::4]).square().mean((1, 2, 3))  # inside blocks of 4
        across = (captured[..., 1:-4:4] - captured[..., 5::4]).square().mean((1, 2, 3))
        roughness.append((within / across).nan_to_num())  # 0 / 0 for images without noise
    near, far = roughness
    assert far.max() < 0.1 < near.median()


def test_sample_is_independent_of_batch(generator):
    together = generator.crops(torch.arange(10), 96)
    some = torch.tensor([7, 2])
    alone = generator.crops(some, 96)
    for f in fields(HandsBatch):
        a, b = getattr(together, f.name)[some], getattr(alone, f.name)
        if a.dtype in (torch.bool, torch.uint8) and f.name != "image":
            assert (a != b).float().mean() < 1e-3, f.name
        elif f.name == "image":  # rounding may change pixels by one level, or the surface of edge pixels
            assert ((a.int() - b.int()).abs() > 1).float().mean() < 1e-3
        else:
            assert_close(a, b, atol=5e-3 if f.name in ("affine", "intrinsics") else 1e-5, rtol=1e-4, msg=f.name)
    other = SyntheticHands(12, generator.hand_model).crops(some, 96)
    assert (other.image.int() - alone.image.int()).abs().float().mean() > 5


def test_absent_hands_are_not_segmented(crops):
    batch, _ = crops
    for side in range(2):
        pixels = (batch.segmentation == side + 1).flatten(1).sum(1)
        assert (pixels[batch.presence[:, side]] > 0).all()
        nobody = pixels[~batch.presence.any(1)]
        assert (nobody < 0.05 * SIZE * SIZE).all()


def test_labels_are_finite_and_rotations_proper(crops):
    batch, _ = crops
    for f in fields(HandsBatch):
        assert getattr(batch, f.name).double().isfinite().all(), f.name
    assert_close(torch.linalg.det(batch.rotations), torch.ones(COUNT, 2, 16), atol=1e-4, rtol=0)
