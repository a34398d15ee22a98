"""Where a network looks, part by part: for pictures like the LGNet paper's of its attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import NamedTuple

from torch import Tensor

from lgnet_core.network.attention import LGFA


class LookedAt(NamedTuple):
    """Where one part of a network looks.

    Args:
        part: its name, e.g. ``local, right hand's map``.
        share: how much it looks at each cell, at least 0; the cells cover the whole crop, whatever their number.

    Shapes:
        share: (B, H, W).
    """

    part: str
    share: Tensor


def watch_lgfa(parts: Mapping[str, tuple[LGFA, str, str]], run: Callable[[], object]) -> list[LookedAt]:
    """Where LGFA modules look while a network runs: each at two maps.

    Args:
        parts: for each module's name the module, and what its first and its second map are.
        run: lets the network run.
    """
    found: list[LookedAt] = []

    def watch(name: str, first: str, second: str) -> Callable[..., None]:
        def look(module: LGFA, inputs: tuple[Tensor, ...], _: Tensor) -> None:
            for of, share in zip((first, second), module.attention(*inputs).unbind(1)):
                found.append(LookedAt(f"{name}: {of}", share))

        return look

    with ExitStack() as hooks:
        for name, (module, first, second) in parts.items():
            hooks.callback(module.register_forward_hook(watch(name, first, second)).remove)
        run()
    return found
