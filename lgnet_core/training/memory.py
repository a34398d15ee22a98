"""Memory that a training will need, estimated before it starts from a forward pass of two images."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from lgnet_core.io.memory import available_memory, require_memory
from lgnet_core.training.mixture import DataMixture, MixtureDataset, collate
from lgnet_core.training.module import TrainingModule
from lgnet_core.training.sampling import SampleIndex
from lgnet_core.training.train_config import TrainConfig

UNCHECKED_IMAGES = 64
"""Batches of so many images of 256 x 256, of all processes together, are not checked: every preset trains with them."""

GENERATION_BYTES_PER_PIXEL = 140
"""Peak memory of reading a batch, per pixel: that of generated images."""

_PROBE_IMAGES = 2
_BACKWARD_FACTOR = 1.3
"""Peak of the backward pass relative to what the forward pass has saved."""
_STATES_PER_PARAMETER = 4
"""Gradient, two moments of the optimiser, and average, beside the parameter itself."""


def check_memory(config: TrainConfig, module: TrainingModule, mixture: DataMixture, processes: int) -> None:
    """Refuse a training whose batches do not fit into memory.

    Args:
        processes: processes on this machine. Only the first of them checks.

    Raises:
        InsufficientMemoryError: with the need and the remedy.
    """
    images = config.batch_size * processes * (config.size / 256) ** 2
    if images <= UNCHECKED_IMAGES or available_memory() is None or int(os.environ.get("LOCAL_RANK", 0)) > 0:
        return
    batch = config.batch_size * _BACKWARD_FACTOR * activation_bytes(module, mixture)
    batch = max(batch, config.batch_size * config.size**2 * GENERATION_BYTES_PER_PIXEL)
    states = _STATES_PER_PARAMETER * sum(p.nbytes for p in module.network.parameters())
    need = processes * (batch + states) + (processes - 1) * _resident_bytes()
    remedy = "reduce --batch-size (--accumulate keeps the images per step)"
    if processes > 1:
        remedy += " or --devices"
    require_memory(int(need), f"batches of {config.batch_size} images in {processes} process(es)", remedy)


def activation_bytes(module: TrainingModule, mixture: DataMixture) -> float:
    """Bytes per image that the forward pass saves for the backward pass."""
    dataset = MixtureDataset(mixture.sources)
    sample = collate([dataset[SampleIndex(0, k, 0)] for k in range(_PROBE_IMAGES)])
    network, training = module.network, module.network.training
    own = {p.untyped_storage().data_ptr() for p in (*network.parameters(), *network.buffers())}
    saved: dict[int, int] = {}

    def record(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.layout is not torch.strided:  # a sparse matrix of the mesh: a constant of the network
            return tensor
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()  # alive as long as the prediction: addresses are unique
        return tensor

    network.eval()  # leaves the statistics of the norms alone
    try:
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
            labels = (getattr(sample, "batch", sample)).labels(network.hand_model)
            prediction = module.predict(sample, labels, network, training=False)
    finally:
        network.train(training)
    del prediction
    return sum(saved.values()) / _PROBE_IMAGES


def _resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
