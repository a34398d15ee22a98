"""Attention: the transformer block, and LGFA, the local-global feature aggregation of LGNet (section III-B)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.network.attention_maps import AttentionMap
from lgnet_core.network.layers import PositionEmbedding, cpu_autocast, map_to_tokens, sizes, tokens_to_map


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    r"""Multi-head attention, :math:`\mathrm{softmax}(q k^T / \sqrt{d} + b)\, v` with d = C / heads.

    Args:
        bias: b, the same for all queries and heads; see :func:`mask_bias`.

    Shapes:
        q: (B, N, C); k, v: (B, M, C); bias: (B, M); returns (B, N, C).
    """
    queries, keys = sizes(q, 1)[0], sizes(k, 1)[0]
    mixed = attend_heads(split_heads(q, queries, heads), split_heads(k, keys, heads), split_heads(v, keys, heads), bias)
    return mixed.reshape(-1, *sizes(q, 1, 2))


def split_heads(tokens: Tensor, count: int, heads: int) -> Tensor:
    """(B, N, C) or (B N, C), N = ``count``, to (B, heads, N, C / heads)."""
    return tokens.reshape(-1, count, heads, sizes(tokens, -1)[0] // heads).transpose(1, 2)


def attend_heads(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """:func:`attend`, head by head.

    Shapes:
        q: (B, heads, N, width); k, v: (B, heads, M, width); bias: (B, M); returns (B, N, heads, width).
    """
    scale = sizes(q, -1)[0] ** -0.5  # the default, but a constant in exports
    bias = None if bias is None else bias[:, None, None]  # (B, 1, 1, M)
    if cpu_autocast():
        with torch.autocast("cpu", enabled=False):
            attended = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), bias, scale=scale)
    else:
        attended = F.scaled_dot_product_attention(q, k, v, None if bias is None else bias.to(q.dtype), scale=scale)
    return attended.transpose(1, 2)


def mask_bias(present: Tensor) -> Tensor:
    """What is added to attention's logits: 0 for tokens that are there, a negative number for those that are not.

    Finite, so that a query with no token to attend to stays finite too. It leaves a weight of 1e-26, nothing beside
    rounding errors even in double precision; with a larger one ONNX Runtime computes with denormal numbers, and its
    softmax takes five times as long.

    Shapes:
        present: (..., M), 1 or 0; returns the same.
    """
    return (present - 1) * 60.0


class AttentionBlock(nn.Module):
    r"""One transformer block: self-attention, or cross-attention if a memory is given.

    .. math:: a = \mathrm{softmax}(q k^T / \sqrt{d})\, v + x, \qquad y = a + \mathrm{MLP}(a)

    The MLP has GELU (Algorithm 1 shows none, and two linear layers in a row would be one) and four times the width.

    Args:
        channels: of the tokens. heads: divides ``channels``.
        norm: pre-norm on the queries, the memory and the MLP's input.
        projection: an output projection with bias, and q, k, v without (the usual form); else q, k, v with bias and
            no projection (Algorithm 1).
        cross: whether it will be given a memory, which then has a norm of its own.

    Shapes:
        x: (B, N, C); memory: (B, M, C); bias: (B, M or N), see :func:`attend`; returns (B, N, C).
    """

    def __init__(
        self, channels: int, heads: int = 4, norm: bool = True, projection: bool = True, cross: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(channels, channels, bias=not projection) for _ in range(3))
        self.projection = nn.Linear(channels, channels) if projection else nn.Identity()
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.norm = nn.LayerNorm(channels) if norm else nn.Identity()
        self.norm_memory = nn.LayerNorm(channels) if norm and cross else nn.Identity()
        self.norm_mlp = nn.LayerNorm(channels) if norm else nn.Identity()

    def attention(self, x: Tensor, memory: Tensor, bias: Tensor | None = None) -> Tensor:
        """How much each query attends to each token of the memory, mean over the heads: (B, N, M), rows sum to 1.

        Args, Shapes: as for a call.
        """
        q, k = self.query(self.norm(x)), self.key(self.norm_memory(memory))
        q, k = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (q, k))  # (B, heads, N or M, width)
        logits = q @ k.mT * q.shape[-1] ** -0.5
        if bias is not None:
            logits = logits + bias[:, None, None]
        return logits.softmax(-1).mean(1)

    def forward(self, x: Tensor, memory: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        count, channels = sizes(x, 1, 2)
        # Tokens of all items as rows: a linear layer is then one product with its bias in exports too.
        x = x.reshape(-1, channels)
        normed = self.norm(x)
        source, keys = normed, count
        if memory is not None:
            source, keys = self.norm_memory(memory.reshape(-1, channels)), sizes(memory, 1)[0]
        q = split_heads(self.query(normed), count, self.heads)
        k, v = (split_heads(layer(source), keys, self.heads) for layer in (self.key, self.value))
        x = x + self.projection(attend_heads(q, k, v, bias).reshape(-1, channels))
        x = x + self.mlp(self.norm_mlp(x))
        return x.reshape(-1, count, channels)


@dataclass(frozen=True)
class LGFAForm:
    """Depth and details of an LGFA; see :data:`LGFA_FORMS`.

    Args:
        depth: blocks in each of the two steps. heads: of each block. norm: pre-norm.
        shared: one block serves both steps.
        ancestor: EANet's extras: position embeddings, output projections, a linear layer after each step.
    """

    depth: int = 1
    heads: int = 4
    norm: bool = True
    shared: bool = False
    ancestor: bool = False


LGFA_FORMS: dict[str, LGFAForm] = {
    "literal": LGFAForm(heads=1, norm=False, shared=True),
    "default": LGFAForm(),
    "eanet": LGFAForm(depth=4, ancestor=True),
}


class LGFA(nn.Module):
    """Local-global feature aggregation of two maps into one.

    FCToken: the two maps side by side, through a linear layer, are the queries. SAToken: a class token and the cells
    of both maps attend to each other. The queries then attend to these.

    Args:
        channels: c of both maps and of the result.
        form: a key of :data:`LGFA_FORMS`.

    Shapes:
        first, second: (B, c, H, W); second_present: (B,) 1, or 0 where the second map is masked (None: nowhere);
        returns (B, c, H, W). Tokens: FCToken (B, H W, c), SAToken (B, 2 H W + 1, c).
    """

    def __init__(self, channels: int, form: str = "default") -> None:
        super().__init__()
        spec = LGFA_FORMS[form]

        def blocks(cross: bool) -> nn.ModuleList:
            return nn.ModuleList(
                AttentionBlock(channels, spec.heads, spec.norm, spec.ancestor, cross) for _ in range(spec.depth)
            )

        self.join = nn.Linear(2 * channels, channels)
        self.class_token = nn.Parameter(torch.randn(1, 1, channels) * 0.02)
        self.self_blocks = blocks(cross=False)
        self.cross_blocks = None if spec.shared else blocks(cross=True)
        self.self_out = nn.Linear(channels, channels) if spec.ancestor else nn.Identity()
        self.cross_out = nn.Linear(channels, channels) if spec.ancestor else nn.Identity()
        self.embeddings = TokenEmbeddings(channels) if spec.ancestor else None

    def forward(self, first: Tensor, second: Tensor, second_present: Tensor | None = None) -> Tensor:
        bias = None if second_present is None else self._bias(first, second_present)
        queries, context = self._tokens(first, second, bias)
        for block in self._cross_blocks():
            queries = block(queries, context, bias)
        return tokens_to_map(self.cross_out(queries), first)

    def attention(self, first: Tensor, second: Tensor, second_present: Tensor | None = None) -> Tensor:
        """How much the last block attends to each cell of both maps, mean over queries and heads.

        Shapes:
            first, second, second_present: as :meth:`forward`; returns (B, 2, H, W), which sums to 1 less what the class
            token gets.
        """
        bias = None if second_present is None else self._bias(first, second_present)
        queries, context = self._tokens(first, second, bias)
        *before, last = self._cross_blocks()
        for block in before:
            queries = block(queries, context, bias)
        share = last.attention(queries, context, bias).mean(1)
        return share[:, 1:].unflatten(1, (2, *first.shape[-2:]))

    def _cross_blocks(self) -> list[AttentionBlock]:
        return [cast(AttentionBlock, block) for block in self.cross_blocks or self.self_blocks]

    @staticmethod
    def _bias(first: Tensor, second_present: Tensor) -> Tensor:
        """(B, 2 H W + 1): the class token and the first map are there, the second one may be."""
        height, width = sizes(first, 2, 3)
        second = torch.zeros(2 * height * width + 1, device=first.device)
        second[height * width + 1 :] = 1
        return mask_bias(second_present)[:, None] * second

    def _tokens(self, first: Tensor, second: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """FCToken, the queries, and SAToken, their memory."""
        cells = [map_to_tokens(first), map_to_tokens(second)]
        queries = self.join(torch.cat(cells, -1))  # (B, H W, c)
        context = torch.cat([self.class_token.expand_as(cells[0][:, :1]), *cells], 1)  # (B, 2 H W + 1, c)
        if self.embeddings is not None:
            context = context + self.embeddings.context(first)
        for block in self.self_blocks:
            context = block(context, None, bias)
        context = self.self_out(context)
        if self.embeddings is not None:
            queries = queries + self.embeddings.query(first)
            context = context + self.embeddings.memory(first)
        return queries, context


class TokenEmbeddings(nn.Module):
    """EANet's position embeddings: of the context, of the queries, and of the context as the queries' memory."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.class_tokens = nn.Parameter(torch.randn(2, 1, channels) * 0.02)
        self.cells = nn.ModuleList(PositionEmbedding(channels) for _ in range(5))

    def _tokens(self, index: int, like: Tensor) -> Tensor:
        return self.cells[index](like).flatten(1).transpose(0, 1)  # (H W, c)

    def context(self, like: Tensor) -> Tensor:
        """(2 H W + 1, c)."""
        return torch.cat([self.class_tokens[0], self._tokens(0, like), self._tokens(1, like)])

    def memory(self, like: Tensor) -> Tensor:
        """(2 H W + 1, c)."""
        return torch.cat([self.class_tokens[1], self._tokens(2, like), self._tokens(3, like)])

    def query(self, like: Tensor) -> Tensor:
        """(H W, c)."""
        return self._tokens(4, like)


def record_lgfa_attention(parts: Mapping[str, tuple[LGFA, str, str]], run: Callable[[], object]) -> list[AttentionMap]:
    """Where LGFA modules look while a network runs: each at two maps.

    Args:
        parts: for each module's name the module, and what its first and its second map are.
        run: lets the network run.
    """
    found: list[AttentionMap] = []

    def watch(name: str, first: str, second: str) -> Callable[..., None]:
        def look(module: LGFA, inputs: tuple[Tensor, ...], _: Tensor) -> None:
            for of, share in zip((first, second), module.attention(*inputs).unbind(1)):
                found.append(AttentionMap(f"{name}: {of}", share))

        return look

    with ExitStack() as hooks:
        for name, (module, first, second) in parts.items():
            hooks.callback(module.register_forward_hook(watch(name, first, second)).remove)
        run()
    return found
