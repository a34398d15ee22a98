"""What runs networks: one interface over eager torch, CUDA graphs and ONNX Runtime."""

from __future__ import annotations

import ctypes
import gc
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic

import torch

from lgnet_core.network.exportable import Outputs
from lgnet_core.types import FloatArray

ENGINES = ("auto", "eager", "cuda-graph", "onnx")
"""Names that :func:`lgnet_core.engines.factory.make_engine` takes."""

DEVICES = ("auto", "cpu", "cuda")


class OutOfMemoryError(RuntimeError):
    """The device's memory is full: free some, or run on another device."""


@contextmanager
def memory_errors(device: str) -> Iterator[None]:
    """Raise :class:`OutOfMemoryError` for what torch and ONNX Runtime say each in their own way.

    ONNX Runtime's exceptions share no public class with each other, so theirs are known by their text.
    """
    try:
        yield
    except Exception as error:
        text = str(error).lower()
        if isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "failed to allocate" in text:
            raise OutOfMemoryError(f"the memory of {device} is full; close what else uses it ({error})") from error
        raise


class Engine(ABC, Generic[Outputs]):
    """Runs one network, an :class:`~lgnet_core.network.exportable.ExportableModule`, on batches.

    Attributes:
        name: one of ``ENGINES``.
        device: where it runs, ``"cpu"`` or ``"cuda[:index]"``.
        precision: of the heavy arithmetic, ``"fp32"`` or ``"fp16"``; inputs and outputs are always float32.
        input_shapes: name and shape of each input, without the batch, in the order of the call.
        prepares_each_size: whether the first call with each batch size takes long.
    """

    name: str
    device: str
    precision: str
    input_shapes: dict[str, tuple[int, ...]]
    prepares_each_size: bool = False

    @abstractmethod
    def __call__(self, *inputs: FloatArray) -> Outputs:
        """Run the network on a batch.

        The outputs belong to the caller: no later call overwrites them.

        Args:
            inputs: float32, in the order of :attr:`input_shapes`, each with the same leading batch axis.

        Returns:
            The network's named tuple: float32 tensors on the CPU with the same leading axis.
        """

    @property
    def image_size(self) -> int:
        """S of the input ``image`` (B, 3, S, S), pixels."""
        return self.input_shapes["image"][-1]

    def free_memory(self) -> None:
        """Give the device back what is only kept to be faster; the next call makes it anew."""
        free_memory(self.device)

    def __str__(self) -> str:
        return f"{self.name} on {self.device}, {self.precision}"


def free_memory(device: str) -> None:
    """Give back what nobody uses any more: to the GPU, and to the system what the C library keeps of it (glibc).

    Call it once the last reference to an engine is gone to have the memory of its network back.
    """
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def resolve_device(device: str) -> str:
    """``"auto"`` to ``"cuda"`` where torch sees a GPU, else ``"cpu"``; any other name is checked and returned.

    Raises:
        ValueError: for an unknown name.
        RuntimeError: for a CUDA device that this torch does not see.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device)
    except RuntimeError:
        kind = None
    if kind is None or kind.type not in ("cpu", "cuda"):
        raise ValueError(f"device {device!r} is not known; take one of {', '.join(DEVICES)} or cuda:0, cuda:1, ...")
    if kind.type == "cuda":
        require_cuda(device)
        if kind.index is not None and kind.index >= torch.cuda.device_count():
            raise RuntimeError(
                f"device {device!r}: only {torch.cuda.device_count()} CUDA device(s) here, counted from cuda:0"
            )
    return device


def require_cuda(what: str) -> None:
    """Raise a RuntimeError that says what asked for CUDA, why there is none, and the cure."""
    if torch.cuda.is_available():
        return
    reason = (
        f"torch {torch.__version__} was built without CUDA; install a CUDA build of torch"
        if torch.version.cuda is None
        else f"torch {torch.__version__} sees no CUDA device; check `nvidia-smi` and the driver"
    )
    raise RuntimeError(f"{what}: {reason}, or take device 'cpu' or 'auto'")
