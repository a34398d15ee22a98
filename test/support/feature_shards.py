"""Comparison of cached features that were computed twice."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor
from torch.testing import assert_close

Shards = dict[str, dict[str, Tensor]]


def read_shards(folder: Path) -> Shards:
    """Tensors of all files by name, and by the names of the files."""
    return {path.name: load_file(path) for path in sorted(folder.glob("*.safetensors"))}


def assert_same_shards(folder: Path, expected: Shards) -> None:
    """The same files with the same tensors, up to the rounding of networks, which may depend on memory addresses.

    Other random draws would change the crops by pixels.
    """
    actual = read_shards(folder)
    assert actual.keys() == expected.keys()
    for name, tensors in expected.items():
        assert actual[name].keys() == tensors.keys()
        for key, value in tensors.items():
            assert_close(actual[name][key], value, atol=2e-3, rtol=2e-3, equal_nan=True, msg=f"{name}: {key}")
