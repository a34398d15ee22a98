"""What every network of two hands is to the rest of the house, whatever stands inside."""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import asdict
from typing import Any, ClassVar

import torch
from torch import Tensor

from lgnet_core.geometry.camera import virtual_intrinsics
from lgnet_core.hand_model import HandModel
from lgnet_core.network.attention_maps import AttentionMap
from lgnet_core.network.backbones.efficientnet import Backbone
from lgnet_core.network.config import NetworkConfig, preset_name
from lgnet_core.network.exportable import ExportableModule
from lgnet_core.network.layers import sizes
from lgnet_core.network.prediction import HandsPrediction, IntermediateOutputs


class HandsNetwork(ExportableModule[HandsPrediction]):
    """A network of two hands: image and intrinsics of a crop to :class:`HandsPrediction`.

    Its hand model is a module of its own and is not saved with the weights.

    Args:
        config: sizes and switches. hand_model: gives the mesh, its graph and the mean pose.
    """

    INPUTS: ClassVar[tuple[str, ...]] = ("image", "intrinsics")
    OUTPUTS = HandsPrediction

    def __init__(self, config: NetworkConfig, hand_model: HandModel) -> None:
        super().__init__()
        self.config = config
        self.hand_model = hand_model

    def example_inputs(self, size: int = 256) -> tuple[Tensor, ...]:
        """Noise, and the camera that stands in for an unknown one.

        Args:
            size: S, side of the crops, pixels, a multiple of 32; the network runs at any.
        """
        image = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
        return image, torch.tensor(virtual_intrinsics(size), dtype=torch.float32).repeat(2, 1, 1)

    def description(self) -> dict[str, str]:
        return {
            "preset": preset_name(self.config),
            "config": json.dumps(asdict(self.config), sort_keys=True),
            "hand_model": self.hand_model.digest,
        }

    def engine_parts(self) -> dict[str, ExportableModule[Any]]:
        """What engines run and files hold, by name: the network, or parts of it that run one after the other."""
        return {"network": self}

    def forward(self, image: Tensor, intrinsics: Tensor) -> HandsPrediction:
        """Predict both hands.

        Args:
            image: RGB in [0, 1]; S is a multiple of 32.
            intrinsics: K of this crop, pixels; :func:`lgnet_core.geometry.camera.virtual_intrinsics` where it is
            unknown.

        Shapes:
            image: (B, 3, S, S); intrinsics: (B, 3, 3); returns :class:`HandsPrediction`.

        Raises:
            ValueError: if the image is not square or its size no multiple of 32.
        """
        return self.forward_intermediates(image, intrinsics)[0]

    @abstractmethod
    def forward_intermediates(
        self, image: Tensor, intrinsics: Tensor
    ) -> tuple[HandsPrediction, IntermediateOutputs | None]:
        """:meth:`forward`, and beside it what only the losses look at: InterShape's earlier answers."""

    @abstractmethod
    def backbones(self) -> tuple[Backbone, ...]:
        """What starts from pretrained weights; the first sees the image alone, and is supervised directly."""

    @abstractmethod
    def attention_maps(self, image: Tensor, intrinsics: Tensor) -> list[AttentionMap]:
        """Where the network looks in these crops: its attention, part by part. Arguments as :meth:`forward`."""

    def map_size(self, image: Tensor) -> int:
        """Cells per side of the stride-32 map. Raises: see :meth:`forward`."""
        height, size = sizes(image, 2, 3)
        if height != size or size % 32:
            name = type(self).__name__
            raise ValueError(f"{name}: image of {height}x{size} pixels; give a square one, a multiple of 32")
        return size // 32
