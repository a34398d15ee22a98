"""The hand model as a differentiable torch module, for networks, training and evaluation."""

from __future__ import annotations

from pathlib import Path

import roma
import torch
from torch import Tensor, nn

from lgnet_core.hand_model.asset import NUM_MANO_JOINTS, HandAsset, read_hand_assets
from lgnet_core.hand_model.graph import MeshGraph
from lgnet_core.hand_model.model import HandMesh, HandModel, check_shape
from lgnet_core.types import Side

MANO_MIDDLE_MCP = 4
"""MANO's index of the first joint of the middle finger."""


class HandLayer(HandModel, nn.Module):
    """:class:`~lgnet_core.hand_model.model.HandModel` whose arrays are buffers.

    All buffers are non-persistent: the hand model is chosen by the user and not part of a checkpoint (MANO's licence
    forbids redistribution).

    Attributes:
        graph: :class:`MeshGraph` of the right rest hand, used for both sides, which have the same topology.

    Args, Raises: see :class:`~lgnet_core.hand_model.model.HandModel`.
    """

    v_template: Tensor
    J_regressor: Tensor
    weights: Tensor
    hands_mean: Tensor
    faces: Tensor
    tip_vertices: Tensor
    basis: Tensor
    rest_joints: Tensor
    joint_basis: Tensor
    mano_to_openpose: Tensor

    def __init__(self, right: HandAsset, left: HandAsset | None = None) -> None:
        nn.Module.__init__(self)
        arrays = HandModel(right, left)
        self.assets, self.name, self.digest, self.mirrored = arrays.assets, arrays.name, arrays.digest, arrays.mirrored
        self.graph = MeshGraph(right.faces, right.v_template)
        for name in self.ARRAYS:
            self.register_buffer(name, torch.from_numpy(getattr(arrays, name)), persistent=False)

    @classmethod
    def of(cls, model: HandModel) -> HandLayer:
        """The layer of a hand model; a layer is returned as it is."""
        return model if isinstance(model, cls) else cls(*model.assets)

    def forward(
        self, rotations: Tensor, shape: Tensor, translation: Tensor | None = None, side: Side | None = None
    ) -> HandMesh:
        """:meth:`pose`, differentiable in every input; in the precision of the buffers even under autocast."""
        device_type = rotations.device.type
        if torch.is_autocast_enabled(device_type):  # half precision would move vertices by millimetres
            dtype = self.v_template.dtype
            with torch.autocast(device_type, enabled=False):
                return self.pose(
                    rotations.to(dtype),
                    shape.to(dtype),
                    None if translation is None else translation.to(dtype),
                    side,
                )
        return self.pose(rotations, shape, translation, side)

    def rest_wrist(self, shape: Tensor) -> Tensor:
        """Wrist position of an untranslated hand, the centre of the root rotation; independent of the rotations.

        Shapes:
            shape: (..., 2, 10); returns (..., 2, 3) metres.
        """
        return self.rest_joints[:, 0] + torch.einsum("...sk,skc->...sc", shape, self.joint_basis[..., :3])

    def bone_lengths(self, shape: Tensor) -> Tensor:
        """Lengths of the bones that end at MANO's joints 1 to 15, in its order; independent of the pose.

        Shapes:
            shape: (..., 2, 10); returns (..., 2, 15) metres.
        """
        joint_offsets = torch.matmul(shape[..., None, :], self.joint_basis)[..., 0, :]
        joints = self.rest_joints + joint_offsets.unflatten(-1, (NUM_MANO_JOINTS, 3))  # (..., 2, 16, 3)
        fingers = joints[..., 1:, :].unflatten(-2, (5, 3))
        wrist = joints[..., None, :1, :].expand_as(fingers[..., :1, :])
        return (fingers - torch.cat([wrist, fingers[..., :-1, :]], -2)).norm(dim=-1).flatten(-2)

    def palm_length(self, shape: Tensor) -> Tensor:
        """Distance from the wrist to the middle MCP joint. Shapes: (..., 2, 10) -> (..., 2) metres."""
        return self.bone_lengths(shape)[..., MANO_MIDDLE_MCP - 1]

    def pose_to_rotations(self, pose: Tensor, side: Side | None = None, flat_hand_mean: bool = False) -> Tensor:
        """Convert a MANO pose (root and 15 joints as axis-angle, radians) to rotation matrices.

        Args:
            flat_hand_mean: whether the pose already includes the mean pose, which is otherwise added to joints 1-15.

        Shapes:
            pose: (..., 2, 48), or (..., 48) with ``side``; returns (..., 2, 16, 3, 3) or (..., 16, 3, 3).
        """
        mean = self._pose_mean(side, flat_hand_mean)
        check_shape("pose", pose, mean.shape)
        return roma.rotvec_to_rotmat((pose + mean).unflatten(-1, (NUM_MANO_JOINTS, 3)))

    def _pose_mean(self, side: Side | None, flat_hand_mean: bool) -> Tensor:
        """(2, 48), or (48,) with ``side``: the mean pose to add to a pose, zero for the root."""
        mean = self.hands_mean if side is None else self.hands_mean[side]
        return nn.functional.pad(torch.zeros_like(mean) if flat_hand_mean else mean, (3, 0))

    def extra_repr(self) -> str:
        return f"name={self.name!r}, digest={self.digest[:12]}"


def load_hand_layer(path: str | Path | None = None) -> HandLayer:
    """:func:`~lgnet_core.hand_model.model.load_hand_model` as a torch module; arguments and errors are the same."""
    return HandLayer(*read_hand_assets(path))
