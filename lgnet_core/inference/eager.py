"""Plain torch: the reference that every other engine is held to."""

from __future__ import annotations

import torch

from lgnet_core.inference.engine import Engine, memory_errors, resolve_device
from lgnet_core.network import HandsNetwork, HandsPrediction
from lgnet_core.types import FloatArray


class EagerEngine(Engine):
    """Single precision, operator by operator, on the CPU or a GPU.

    The network is moved to ``device`` and set to evaluation, in place.

    Args:
        network: with its weights.
        device: ``"auto"``, ``"cpu"`` or ``"cuda[:index]"``.
        image_size: side of the crops, pixels.
    """

    name = "eager"
    precision = "fp32"

    def __init__(self, network: HandsNetwork, device: str = "auto", image_size: int = 256) -> None:
        self.device = resolve_device(device)
        self.image_size = image_size
        self.network = network.to(self.device).eval()

    @torch.inference_mode()
    def __call__(self, images: FloatArray, intrinsics: FloatArray) -> HandsPrediction:
        with memory_errors(self.device):
            inputs = (torch.from_numpy(images).to(self.device), torch.from_numpy(intrinsics).to(self.device))
            return HandsPrediction(*(field.float().cpu() for field in self.network(*inputs)))
