"""Interface of networks that inference engines can run and export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic

from torch import Tensor, nn

from lgnet_core.network.prediction import Outputs


class ExportableModule(nn.Module, ABC, Generic[Outputs]):
    """A module with named input and output tensors whose leading axis is a batch of any size.

    ``forward`` takes :attr:`INPUTS` by position and returns :attr:`OUTPUTS`. All sizes except the batch are fixed by
    the inputs of the export. In evaluation mode, the module is a pure function: it has no state that changes and no
    data-dependent control flow.

    Attributes:
        INPUTS: names of the inputs, in the order of ``forward``; disjoint from the names of the outputs.
        OUTPUTS: return type of ``forward``.
    """

    INPUTS: ClassVar[tuple[str, ...]]
    OUTPUTS: type[Outputs]

    @abstractmethod
    def example_inputs(self) -> tuple[Tensor, ...]:
        """Inputs for tracing, timing and warm-up: a batch of 2, float32, on the CPU."""

    def description(self) -> dict[str, str]:
        """Metadata for exported files; part of the cache key, so it must cover what the weights do not determine."""
        return {}


def input_shapes(network: ExportableModule[Outputs], inputs: tuple[Tensor, ...]) -> dict[str, tuple[int, ...]]:
    """Map each input's name to its shape without the batch axis.

    Raises:
        ValueError: if the number of inputs is wrong.
    """
    names = network.INPUTS
    if len(inputs) != len(names):
        raise ValueError(
            f"{type(network).__name__} takes {len(names)} inputs ({', '.join(names)}), got {len(inputs)}; "
            "pass inputs like those of its example_inputs()"
        )
    return {name: tuple(tensor.shape[1:]) for name, tensor in zip(names, inputs)}
