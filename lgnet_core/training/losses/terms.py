r"""Terms of the training loss, one function each; :mod:`lgnet_core.training.losses.criterion` combines them.

Coordinates are wrist-relative metres in camera axes unless stated otherwise. A mask selects the valid items (the labels
of an absent hand are undefined); every term is a mean over the valid items, zero if there are none. Sources: LGNet
eqs 12 to 16 for the mesh, EANet for the heads; presence and uncertainty, which neither has, are our own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.data.sample import HandsBatch, HandsLabels, joints_inside
from lgnet_core.geometry.camera import project, weak_perspective_root
from lgnet_core.geometry.coordinates import pixels_to_normalised
from lgnet_core.hand_model import HandLayer


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values whose mask is true; 0 if there are none.

    Shapes:
        values: (*mask.shape, ...); mask: bool; returns a scalar.
    """
    full = mask.view(*mask.shape, *[1] * (values.ndim - mask.ndim))
    count = mask.sum() * (values.numel() // mask.numel())
    return torch.where(full, values, 0).sum() / count.clamp_min(1)


def vertex_loss(vertices: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    r"""Eq. 12, L_mesh: mean of \|v - v^GT\|_1 per coordinate.

    Shapes:
        vertices, target: (..., 778, 3); mask: (...) bool.
    """
    return masked_mean((vertices - target).abs(), mask)


def joint_loss(joints: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    r"""Eq. 13, L_joint: mean of \|G M - G M^GT\|_1 per coordinate; both are regressed from the meshes.

    Shapes:
        joints, target: (..., 21, 3); mask: (...) bool.
    """
    return masked_mean((joints - target).abs(), mask)


def normal_loss(edges: Tensor, normals: Tensor, mask: Tensor, face_edges: int) -> Tensor:
    r"""Eq. 14, L_norm: mean over faces and their edges of \|<e / \|e\|, n^GT>\|.

    The paper sums over the edges of each face. An edge belongs to one or two faces, so each edge is taken once with the
    normals of both (zero for a missing face). Edges are normalised, as in all preceding methods.

    Args:
        edges: predicted edge vectors.
        normals: unit normals of the ground-truth faces at each edge, or zero; their sign does not matter.
        face_edges: number of (face, edge) pairs of a mesh, 3 F.

    Shapes:
        edges: (..., E, 3); normals: (..., E, 2, 3); mask: (...) bool.
    """
    cosines = torch.einsum("...ek,...efk->...ef", F.normalize(edges, dim=-1), normals).abs()
    return masked_mean(cosines.sum((-2, -1)) / face_edges, mask)


def edge_length_loss(edges: Tensor, target: Tensor, faces_of_edge: Tensor, mask: Tensor) -> Tensor:
    r"""Eq. 15, L_edge: mean over faces and their edges of \| \|e\| - \|e^GT\| \|.

    Args:
        edges, target: predicted and ground-truth edge vectors.
        faces_of_edge: number of faces that share the edge, used as its weight.

    Shapes:
        edges, target: (..., E, 3); faces_of_edge: (E,); mask: (...) bool.
    """
    # _length keeps the gradient finite if the vertices of a predicted edge coincide.
    difference = (_length(edges) - _length(target)).abs()
    return masked_mean(difference @ faces_of_edge / faces_of_edge.sum(), mask)


def laplacian_loss(vertices: Tensor, target: Tensor, laplacian: Tensor, mask: Tensor) -> Tensor:
    r"""Eq. 16, L_lap: mean over vertices of \|delta_i - mean_{k in N(i)} delta_k\|^2 with delta = v^GT - v, metres^2.

    Args:
        laplacian: I - D^-1 A of the mesh.

    Shapes:
        vertices, target: (..., V, 3); laplacian: (V, V); mask: (...) bool.
    """
    error = target - vertices
    columns = error.movedim(-2, 0).flatten(1)  # (V, ... 3): one matrix product for all meshes
    roughness = (laplacian @ columns).unflatten(1, (*mask.shape, 3)).movedim(0, -2)
    return masked_mean(roughness.square().sum(-1), mask)


def grid_target(batch: HandsBatch, labels: HandsLabels, depth_box: float) -> tuple[Tensor, Tensor]:
    """Target 2.5D joints (u, v, d) in [-1, 1] across the crop and the depth box, and which of them lie inside both.

    Shapes:
        returns (B, 2, 21, 3) and (B, 2, 21) bool.
    """
    depth = (labels.joints - batch.wrist[:, :, None])[..., 2:] / (depth_box / 2)
    uv = pixels_to_normalised(labels.joints_2d, batch.image.shape[-1])
    return torch.cat([uv, depth], -1), joints_inside(batch, labels) & (depth[..., 0].abs() < 1)


def joint_grid_loss(joints: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error of the 2.5D joints in eighths of the crop and of the depth box (cells of the paper's grid).

    Joints outside the image or the depth box are ignored.

    Args:
        joints, target: (u, v, d), each in [-1, 1] across the crop and the depth box.

    Shapes:
        joints, target: (..., 3); mask: (...) bool.
    """
    return masked_mean((joints - target).abs() * 4, mask)


def rotation_loss(rotations: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of rotation-matrix entries, which have no discontinuities, unlike axis-angle.

    Shapes:
        rotations, target: (..., 16, 3, 3); mask: (...) bool.
    """
    return masked_mean((rotations - target).abs(), mask)


def shape_loss(shape: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of the shape coefficients, in standard deviations.

    Shapes:
        shape, target: (..., 10); mask: (...) bool.
    """
    return masked_mean((shape - target).abs(), mask)


def projection_loss(
    camera: Tensor, joints: Tensor, intrinsics: Tensor, joints_2d: Tensor, image_size: int, mask: Tensor
) -> Tensor:
    r"""Mean absolute error of the joints projected by the predicted camera, in half images.

    The weak-perspective camera (s, t_x, t_y) places the wrist in the full-perspective camera
    (:func:`lgnet_core.geometry.camera.weak_perspective_root`), and K projects the joints, as in the refine stage.

    Args:
        joints: predicted wrist-relative joints.
        intrinsics: K of the images, pixels.
        joints_2d: target joints, pixels.

    Shapes:
        camera: (B, 2, 3); joints: (B, 2, 21, 3); intrinsics: (B, 3, 3); joints_2d: (B, 2, 21, 2);
        mask: (B, 2, 21) bool.
    """
    root = weak_perspective_root(camera, intrinsics[:, None], image_size)
    pixels = project(joints + root[:, :, None], intrinsics[:, None], min_depth=0.05)
    error = pixels_to_normalised(pixels, image_size) - pixels_to_normalised(joints_2d, image_size)
    # A wrong camera early in training projects joints far outside the image; the clamp limits such outliers.
    return masked_mean(error.abs().clamp_max(4.0), mask)


def relative_translation_loss(translation: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error of wrist_left - wrist_right, metres, for images of both hands.

    Shapes:
        translation, target: (B, 3); mask: (B,) bool.
    """
    return masked_mean((translation - target).abs(), mask)


def presence_loss(logits: Tensor, presence: Tensor) -> Tensor:
    """Binary cross-entropy of each hand's presence. Shapes: (B, 2) logits, (B, 2) bool."""
    return F.binary_cross_entropy_with_logits(logits, presence.to(logits.dtype))


def uncertainty_loss(log_variance: Tensor, joints: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    r"""Negative log-likelihood per axis of an isotropic Gaussian, (log s^2 + \|e\|^2 / (3 s^2)) / 2, up to a constant.

    The error e is detached: the head learns the error of the joints without down-weighting difficult joints.

    Shapes:
        log_variance: (..., 21) of metres^2; joints, target: (..., 21, 3); mask: (...) bool.
    """
    squared = (joints - target).detach().square().mean(-1)
    return masked_mean(0.5 * (log_variance + squared * torch.exp(-log_variance)), mask)


class MeshTables(nn.Module):
    """Mesh connectivity tables of the mesh terms.

    Buffers:
        edges (E, 2) long; edge_faces (E, 2) long, F if there is no second face; faces_of_edge (E,) float;
        laplacian (V, V) float, I - D^-1 A; faces (F, 3) long, of the right hand; those of the left have the same edges.
    """

    edges: Tensor
    edge_faces: Tensor
    faces_of_edge: Tensor
    laplacian: Tensor
    faces: Tensor

    def __init__(self, hand_model: HandLayer) -> None:
        super().__init__()
        faces, edges = hand_model.faces[0], hand_model.graph.edges
        vertex_count, face_count = hand_model.v_template.shape[1], len(faces)
        index = {(a, b): k for k, (a, b) in enumerate(edges.tolist())}
        edge_faces = torch.full((len(edges), 2), face_count)
        for face, (a, b, c) in enumerate(faces.tolist()):
            for pair in ((a, b), (b, c), (c, a)):
                edge = index[min(pair), max(pair)]
                edge_faces[edge, int(edge_faces[edge, 0] != face_count)] = face
        adjacency = torch.zeros(vertex_count, vertex_count)
        adjacency[edges[:, 0], edges[:, 1]] = 1
        adjacency += adjacency.T.clone()
        for name, buffer in {
            "edges": edges.clone(),
            "edge_faces": edge_faces,
            "faces_of_edge": (edge_faces < face_count).sum(1).float(),
            "laplacian": torch.eye(vertex_count) - adjacency / adjacency.sum(1, keepdim=True),
            "faces": faces.clone(),
        }.items():
            self.register_buffer(name, buffer, persistent=False)

    def edge_vectors(self, vertices: Tensor) -> Tensor:
        """(..., V, 3) -> (..., E, 3)."""
        return vertices.index_select(-2, self.edges[:, 0]) - vertices.index_select(-2, self.edges[:, 1])

    def edge_normals(self, vertices: Tensor) -> Tensor:
        """Unit normals of the faces at each edge, zero for a missing face: (..., V, 3) -> (..., E, 2, 3)."""
        a, b, c = (vertices.index_select(-2, self.faces[:, k]) for k in range(3))
        normals = F.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
        normals = F.pad(normals, (0, 0, 0, 1))
        return normals.index_select(-2, self.edge_faces.flatten()).unflatten(-2, (-1, 2))


def _length(vectors: Tensor) -> Tensor:
    """Norm with a finite gradient at zero."""
    return (vectors.square().sum(-1) + 1e-12).sqrt()
