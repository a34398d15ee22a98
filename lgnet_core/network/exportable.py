"""What a network must say of itself for an engine to run it, and for a file to hold it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, NamedTuple, TypeVar

from torch import Tensor, nn

Outputs = TypeVar("Outputs", bound=NamedTuple)
"""The named tuple of tensors that a network returns."""


class ExportableModule(nn.Module, ABC, Generic[Outputs]):
    """A network with named tensors as inputs and outputs; the leading axis of each is the batch, of any size.

    Its ``forward`` takes :attr:`INPUTS` by position and returns :attr:`OUTPUTS`. Everything but the batch is fixed by
    the inputs with which it is exported. It is a function of its inputs: no state changes in evaluation, and no branch
    depends on values.

    Attributes:
        INPUTS: names of the inputs, in the order of ``forward``; none is that of an output too.
        OUTPUTS: type of what ``forward`` returns.
    """

    INPUTS: ClassVar[tuple[str, ...]]
    OUTPUTS: type[Outputs]

    @abstractmethod
    def example_inputs(self) -> tuple[Tensor, ...]:
        """Inputs to trace, time and warm up with: a batch of 2, float32, on the CPU."""

    def description(self) -> dict[str, str]:
        """What a file is to say of the network, and what tells it from others of its class with the same weights."""
        return {}


def input_shapes(network: ExportableModule[Outputs], inputs: tuple[Tensor, ...]) -> dict[str, tuple[int, ...]]:
    """Name and shape of each input, without the batch.

    Raises:
        ValueError: if there are not as many as the network takes.
    """
    names = network.INPUTS
    if len(inputs) != len(names):
        raise ValueError(
            f"{type(network).__name__} takes {len(names)} inputs ({', '.join(names)}), got {len(inputs)}; "
            "give those of its example_inputs()"
        )
    return {name: tuple(tensor.shape[1:]) for name, tensor in zip(names, inputs)}
