"""Inference engine interface, device selection and memory errors."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic

from lgnet_core.network.prediction import Outputs
from lgnet_core.types import FloatArray

ENGINES = ("auto", "eager", "cuda-graph", "onnx")
"""Engine names that :func:`lgnet_core.engines.factory.make_engine` accepts."""

DEVICES = ("auto", "cpu", "cuda")

MISSING_TORCH = "PyTorch, which is not installed: pip install 'lgnet_ros[torch]'"


class OutOfMemoryError(RuntimeError):
    """The device is out of memory: free memory or use another device."""


@contextmanager
def unify_memory_errors(device: str) -> Iterator[None]:
    """Convert the out-of-memory errors of torch and ONNX Runtime to :class:`OutOfMemoryError`.

    ONNX Runtime has no public exception class for them, so they are recognised by their message, and torch's by their
    name, since torch need not be installed.
    """
    try:
        yield
    except Exception as error:
        text = str(error).lower()
        if type(error).__name__ == "OutOfMemoryError" or "out of memory" in text or "failed to allocate" in text:
            raise OutOfMemoryError(f"{device} is out of memory; close other programs that use it ({error})") from error
        raise


class Engine(ABC, Generic[Outputs]):
    """Runs an :class:`~lgnet_core.network.exportable.ExportableModule` on batches.

    Attributes:
        name: one of ``ENGINES``.
        device: ``"cpu"`` or ``"cuda[:index]"``.
        precision: of the internal computations, ``"fp32"`` or ``"fp16"``; inputs and outputs are always float32.
        input_shapes: name and shape (without the batch axis) of each input, in the order of the call.
        prepares_each_batch_size: whether the first call with a new batch size is slow.
    """

    name: str
    device: str
    precision: str
    input_shapes: dict[str, tuple[int, ...]]
    prepares_each_batch_size: bool = False

    @abstractmethod
    def __call__(self, *inputs: FloatArray) -> Outputs:
        """Run the network on a batch.

        The outputs are owned by the caller; later calls do not overwrite them.

        Args:
            inputs: float32, in the order of :attr:`input_shapes`, each with the same leading batch axis.

        Returns:
            The network's named tuple of float32 numpy arrays, with the same leading axis.
        """

    @property
    def image_size(self) -> int:
        """Side S of the input ``image`` (B, 3, S, S), pixels."""
        return self.input_shapes["image"][-1]

    def free_memory(self) -> None:
        """Release caches on the device; the next call rebuilds them."""
        free_memory(self.device)

    def __str__(self) -> str:
        return f"{self.name} on {self.device}, {self.precision}"


def free_memory(device: str) -> None:
    """Return unused memory to the GPU, and to the operating system from the C library's heap (glibc).

    To free a network's memory, call it after the last reference to its engine is gone.
    """
    gc.collect()
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def check_engine(engine: str) -> None:
    """Raise a ValueError for an unknown engine."""
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; choose one of {', '.join(ENGINES)}")


def require_torch(what: str) -> None:
    """Raise an ImportError with the remedy if torch is not installed.

    Args:
        what: needs torch, for the message.
    """
    if importlib.util.find_spec("torch") is None:
        raise ImportError(f"{what}: needs {MISSING_TORCH}")


def resolve_device(device: str) -> str:
    """Resolve ``"auto"`` to ``"cuda"`` if torch finds a GPU, else ``"cpu"``; validate and return other names.

    Raises:
        ValueError: for an unknown name.
        RuntimeError: for a CUDA device that torch does not find.
    """
    if device == "auto":
        return "cuda" if has_cuda() else "cpu"
    kind, separator, index = device.partition(":")
    if device != "cpu" and (kind != "cuda" or index.isdecimal() != bool(separator)):
        raise ValueError(f"unknown device {device!r}; choose one of {', '.join(DEVICES)} or cuda:0, cuda:1, ...")
    if kind == "cuda":
        require_cuda(device)
        import torch

        if index and int(index) >= torch.cuda.device_count():
            raise RuntimeError(
                f"device {device!r} does not exist; there are {torch.cuda.device_count()} CUDA device(s), from cuda:0"
            )
    return device


def has_cuda() -> bool:
    """Whether torch is installed and finds a GPU.

    Without a GPU's driver torch is not imported, which takes seconds and 200 MB.
    """
    if "torch" not in sys.modules and (importlib.util.find_spec("torch") is None or not _has_gpu_driver()):
        return False
    import torch

    return torch.cuda.is_available()


def _has_gpu_driver() -> bool:
    """Whether there is a driver of NVIDIA's GPUs, or of AMD's, whose builds of torch name their devices CUDA too."""
    if Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def require_cuda(requested: str) -> None:
    """Raise a RuntimeError with reason and remedy if CUDA is not available.

    Args:
        requested: the option that requires CUDA, for the message.
    """
    if has_cuda():
        return
    if importlib.util.find_spec("torch") is None:
        raise RuntimeError(f"{requested}: needs {MISSING_TORCH}, or use device 'cpu' or 'auto'")
    import torch

    reason = (
        f"torch {torch.__version__} was built without CUDA; install a CUDA build of torch"
        if torch.version.cuda is None
        else f"torch {torch.__version__} finds no CUDA device; check `nvidia-smi` and the driver"
    )
    raise RuntimeError(f"{requested}: {reason}, or use device 'cpu' or 'auto'")
