"""Base class of all two-hand networks."""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from dataclasses import asdict
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lgnet_core.geometry.camera import virtual_intrinsics
from lgnet_core.hand_model import HandLayer
from lgnet_core.network.attention_maps import AttentionMap
from lgnet_core.network.backbones.factory import Backbone
from lgnet_core.network.config import NetworkConfig, preset_name
from lgnet_core.network.exportable import ExportableModule
from lgnet_core.network.layers import static_sizes
from lgnet_core.network.prediction import HandsPrediction, IntermediateOutputs


class HandsNetwork(ExportableModule[HandsPrediction]):
    """A two-hand network: image and intrinsics of a crop to :class:`HandsPrediction`.

    The hand model is a submodule without persistent buffers, so it is not saved with the weights.

    Args:
        config: sizes and switches.
        hand_model: provides the mesh, its graph and the mean pose.
    """

    INPUTS: ClassVar[tuple[str, ...]] = ("image", "intrinsics")
    OUTPUTS = HandsPrediction

    def __init__(self, config: NetworkConfig, hand_model: HandLayer) -> None:
        super().__init__()
        self.config = config
        self.hand_model = hand_model

    def example_inputs(self, size: int = 256) -> tuple[Tensor, ...]:
        """Noise images, and the virtual camera that is used where the intrinsics are unknown.

        Args:
            size: S, side of the crops, pixels; any multiple of 32.
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
        """The modules to export and to run in engines, by name, in order: the network itself, or parts of it."""
        return {"network": self}

    @torch.no_grad()
    def scale_joint_std(self, factor: float) -> None:
        """Multiply all predicted standard deviations by a factor, in the bias of the heads that predict them."""
        heads = [module for name, module in self.named_modules() if name.rpartition(".")[2] == "log_variance"]
        for layer in (layer for head in heads for layer in head.modules() if isinstance(layer, nn.Linear)):
            layer.bias.add_(2 * math.log(factor))

    def forward(self, image: Tensor, intrinsics: Tensor) -> HandsPrediction:
        """Predict both hands.

        Args:
            image: RGB in [0, 1]; S is a multiple of 32.
            intrinsics: K of the crop, pixels; :func:`lgnet_core.geometry.camera.virtual_intrinsics` if unknown.

        Shapes:
            image: (B, 3, S, S); intrinsics: (B, 3, 3); returns :class:`HandsPrediction`.

        Raises:
            ValueError: if the image is not square or its size is not a multiple of 32.
        """
        return self.forward_intermediates(image, intrinsics)[0]

    @abstractmethod
    def forward_intermediates(
        self, image: Tensor, intrinsics: Tensor
    ) -> tuple[HandsPrediction, IntermediateOutputs | None]:
        """:meth:`forward`, and the intermediate outputs that have losses of their own (InterShape only)."""

    @abstractmethod
    def backbones(self) -> tuple[Backbone, ...]:
        """Backbones to initialise from pretrained weights; the first takes only the image and has auxiliary losses."""

    @abstractmethod
    def attention_maps(self, image: Tensor, intrinsics: Tensor) -> list[AttentionMap]:
        """Attention maps of the network's modules for a batch of crops. Arguments as for :meth:`forward`."""

    def map_size(self, image: Tensor) -> int:
        """Cells per side of the stride-32 map. Raises: see :meth:`forward`."""
        height, size = static_sizes(image, 2, 3)
        if height != size or size % 32:
            name = type(self).__name__
            raise ValueError(
                f"{name}: image of {height}x{size} pixels; pass a square one whose side is a multiple of 32"
            )
        return size // 32
