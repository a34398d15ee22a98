"""Training criterion: all loss terms of a prediction and their weighted sum."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lgnet_core.data.sample import HandsBatch, HandsLabels, joints_inside
from lgnet_core.hand_model import HandLayer
from lgnet_core.network.lgnet.joint_stage import normalise_joints
from lgnet_core.network.prediction import GRID_STRIDE, HandsPrediction, IntermediateOutputs
from lgnet_core.training.losses.config import LossWeights
from lgnet_core.training.losses.intershape import intershape_terms
from lgnet_core.training.losses.terms import (
    MeshTables,
    edge_length_loss,
    grid_target,
    joint_grid_loss,
    joint_loss,
    laplacian_loss,
    normal_loss,
    presence_loss,
    projection_loss,
    relative_translation_loss,
    rotation_loss,
    shape_loss,
    uncertainty_loss,
    vertex_loss,
)


class HandsLoss(nn.Module):
    """Loss terms and their weighted sum.

    Args:
        hand_model: hand model of the labels and of the mesh connectivity.
        weights: weights for the kind of network, see :func:`lgnet_core.training.losses.config.loss_weights`.
        depth_box: edge length of the network's depth box, metres.
    """

    def __init__(self, hand_model: HandLayer, weights: LossWeights, depth_box: float) -> None:
        super().__init__()
        self.hand_model, self.weights, self.depth_box = hand_model, weights, depth_box
        self.tables = MeshTables(hand_model)

    def forward(
        self,
        prediction: HandsPrediction,
        batch: HandsBatch,
        labels: HandsLabels,
        intermediate: IntermediateOutputs | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss, and the unweighted terms by their names in the weights.

        Args:
            intermediate: InterShape's intermediate outputs, which have additional terms.
        """
        terms = self.mesh_terms(prediction, batch, labels) | self.head_terms(prediction, batch, labels)
        if intermediate is not None:
            terms |= intershape_terms(intermediate, batch, labels, self.hand_model, self.depth_box)
        return self.weights.total(terms), terms

    def mesh_terms(self, prediction: HandsPrediction, batch: HandsBatch, labels: HandsLabels) -> dict[str, Tensor]:
        """Eqs 12 to 16, each summed over the rough and the refined mesh, which are processed as one batch."""
        tables, mesh_count = self.tables, 2
        with torch.no_grad():
            target = labels.vertices - batch.wrist[:, :, None]
            target_joints = self.hand_model.joints_from_vertices(target)
            target_edges, normals = tables.edge_vectors(target), tables.edge_normals(target)
        meshes = torch.stack([prediction.rough_vertices, prediction.vertices])  # (2, B, 2, 778, 3)
        mask = batch.presence.expand(mesh_count, -1, -1)
        edges = tables.edge_vectors(meshes)
        joints = self.hand_model.joints_from_vertices(meshes)
        face_edges = int(tables.faces_of_edge.sum())
        return {
            "mesh": mesh_count * vertex_loss(meshes, target, mask),
            "joint": mesh_count * joint_loss(joints, target_joints, mask),
            "normal": mesh_count * normal_loss(edges, normals, mask, face_edges),
            "edge": mesh_count * edge_length_loss(edges, target_edges, tables.faces_of_edge, mask),
            "laplacian": mesh_count * laplacian_loss(meshes, target, tables.laplacian, mask),
        }

    def head_terms(self, prediction: HandsPrediction, batch: HandsBatch, labels: HandsLabels) -> dict[str, Tensor]:
        """Terms of the heads' outputs."""
        presence = batch.presence
        size = batch.image.shape[-1]
        wrist_relative = labels.joints - batch.wrist[:, :, None]
        inside = joints_inside(batch, labels)
        return {
            "joint_grid": joint_grid_loss(
                normalise_joints(prediction.joints_grid, size // GRID_STRIDE),
                *grid_target(batch, labels, self.depth_box),
            ),
            "rotation": rotation_loss(prediction.rotations, batch.rotations, presence),
            "shape": shape_loss(prediction.shape, batch.shape, presence),
            "projection": projection_loss(
                prediction.camera, prediction.rough_joints, batch.intrinsics, labels.joints_2d, size, inside
            ),
            "relative_translation": relative_translation_loss(
                prediction.relative_translation, labels.relative_translation, presence.all(1)
            ),
            "presence": presence_loss(prediction.presence_logits, presence),
            "uncertainty": uncertainty_loss(prediction.joint_log_variance, prediction.joints, wrist_relative, presence),
        }
