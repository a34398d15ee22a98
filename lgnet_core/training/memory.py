"""Memory and disk space that a training will need, estimated before it starts from a forward pass of two images."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from lgnet_core.io.disk import require_space
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
_MIXED_PRECISION_FACTOR = 0.5
_CHECKPOINT_BYTES_PER_PARAMETER = 4 * 4 + 2
"""Weights, average and two moments in single precision, and exported weights; each file is there twice when it is
replaced."""
_LOG_BYTES = 20_000_000


def check_memory(
    config: TrainConfig, module: TrainingModule, mixture: DataMixture, processes: int, cuda: bool = False
) -> None:
    """Refuse a training whose batches do not fit into memory.

    Args:
        processes: processes on this machine. Only the first of them checks.
        cuda: each process trains on a GPU.

    Raises:
        InsufficientMemoryError: with the need and the remedy.
    """
    if cuda:
        _check_device_memory(config, module, mixture)
        return
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


def _check_device_memory(config: TrainConfig, module: TrainingModule, mixture: DataMixture) -> None:
    if int(os.environ.get("LOCAL_RANK", 0)) > 0:
        return
    batch = config.batch_size * _BACKWARD_FACTOR * activation_bytes(module, mixture)
    if config.precision in ("auto", "bf16-mixed", "16-mixed"):  # auto: see the trainer
        batch *= _MIXED_PRECISION_FACTOR
    states = (1 + _STATES_PER_PARAMETER) * sum(p.nbytes for p in module.network.parameters())
    free, _ = torch.cuda.mem_get_info()
    remedy = "reduce --batch-size (--accumulate keeps the images per step), or end other programs on the GPU"
    require_memory(int(batch + states), f"batches of {config.batch_size} images on the GPU", remedy, free)


def check_disk(out: Path, network: nn.Module) -> None:
    """Refuse a training whose checkpoints do not fit on the disk.

    Args:
        out: output folder; it may not exist yet.

    Raises:
        InsufficientSpaceError: with the need and the remedy.
    """
    parameters = sum(p.numel() for p in network.parameters())
    need = 2 * parameters * _CHECKPOINT_BYTES_PER_PARAMETER + _LOG_BYTES
    require_space(need, out, "the checkpoints and logs", "free some space, or choose another folder with --out")


def activation_bytes(module: TrainingModule, mixture: DataMixture) -> float:
    """Bytes per image that the forward pass saves for the backward pass, in single precision."""
    dataset = MixtureDataset(mixture.sources)
    sample = collate([dataset[SampleIndex(0, k, 0)] for k in range(_PROBE_IMAGES)]).to("cpu")
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
