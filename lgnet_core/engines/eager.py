"""Eager PyTorch engine, the reference for the other engines."""

from __future__ import annotations

import torch
from torch import Tensor

from lgnet_core.engines.base import Engine, resolve_device, unify_memory_errors
from lgnet_core.engines.cpu import available_cores
from lgnet_core.network.exportable import ExportableModule, input_shapes
from lgnet_core.network.prediction import Outputs
from lgnet_core.types import FloatArray


class EagerEngine(Engine[Outputs]):
    """Runs the module in eager mode, single precision, on the CPU or a GPU.

    The network is moved to ``device`` and set to evaluation mode in place. On a CPU, torch's number of threads is set
    for the whole process, since torch has a single thread pool. Its idle threads busy-wait: if other programs need the
    cores, one thread or engine ``"onnx"`` is faster.

    Args:
        network: with its weights.
        device: ``"auto"``, ``"cpu"`` or ``"cuda[:index]"``.
        threads: CPU threads; None for torch's current number, at most :func:`available_cores`.
        inputs: inputs with the shapes to run at; None for the network's ``example_inputs()``.
    """

    name = "eager"
    precision = "fp32"

    def __init__(
        self,
        network: ExportableModule[Outputs],
        device: str = "auto",
        threads: int | None = None,
        inputs: tuple[Tensor, ...] | None = None,
    ) -> None:
        self.device = resolve_device(device)
        self.input_shapes = input_shapes(network, network.example_inputs() if inputs is None else inputs)
        self.network = network.to(self.device).eval()
        if self.device == "cpu":
            torch.set_num_threads(threads or min(torch.get_num_threads(), available_cores()))

    @torch.inference_mode()
    def __call__(self, *inputs: FloatArray) -> Outputs:
        with unify_memory_errors(self.device):
            outputs = self.network(*(torch.from_numpy(array).to(self.device) for array in inputs))
            return self.network.OUTPUTS._make(field.float().cpu().numpy() for field in outputs)
