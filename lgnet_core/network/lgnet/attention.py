"""Attention: the transformer block, and LGNet's local-global feature aggregation (LGFA, section III-B)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgnet_core.network.attention_maps import AttentionMap
from lgnet_core.network.config import LGFA_VARIANTS
from lgnet_core.network.layers import PositionEmbedding, is_cpu_autocast, map_to_tokens, static_sizes, tokens_to_map


def multi_head_attention(q: Tensor, k: Tensor, v: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    r"""Multi-head attention, :math:`\mathrm{softmax}(q k^T / \sqrt{d} + b)\, v` with d = C / heads.

    Args:
        bias: b, the same for all queries and heads; see :func:`mask_bias`.

    Shapes:
        q: (B, N, C); k, v: (B, M, C); bias: (B, M); returns (B, N, C).
    """
    queries, keys = static_sizes(q, 1)[0], static_sizes(k, 1)[0]
    attended = attend_heads(
        split_heads(q, queries, heads), split_heads(k, keys, heads), split_heads(v, keys, heads), bias
    )
    return attended.reshape(-1, *static_sizes(q, 1, 2))


def split_heads(tokens: Tensor, count: int, heads: int) -> Tensor:
    """(B, N, C) or (B N, C), N = ``count``, to (B, heads, N, C / heads)."""
    return tokens.reshape(-1, count, heads, static_sizes(tokens, -1)[0] // heads).transpose(1, 2)


def attend_heads(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention of tokens that are split into heads.

    Shapes:
        q: (B, heads, N, width); k, v: (B, heads, M, width); bias: (B, M); returns (B, N, heads, width).
    """
    scale = static_sizes(q, -1)[0] ** -0.5  # equals the default, but is a constant in exports
    bias = None if bias is None else bias[:, None, None]  # (B, 1, 1, M)
    if is_cpu_autocast():
        with torch.autocast("cpu", enabled=False):
            attended = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), bias, scale=scale)
    else:
        attended = F.scaled_dot_product_attention(q, k, v, None if bias is None else bias.to(q.dtype), scale=scale)
    return attended.transpose(1, 2)


def mask_bias(present: Tensor) -> Tensor:
    """Bias of the attention logits that masks tokens: 0 for present tokens, -60 for absent ones.

    Finite, so that a query without any token to attend to stays finite too. Masked tokens keep a weight of 1e-26, below
    the rounding error even in double precision; with a larger bias ONNX Runtime computes with denormal numbers, and its
    softmax takes five times as long.

    Shapes:
        present: (..., M), 1 or 0; returns the same.
    """
    return (present - 1) * 60.0


class AttentionBlock(nn.Module):
    r"""Transformer block: self-attention, or cross-attention if a memory is passed.

    .. math:: a = \mathrm{softmax}(q k^T / \sqrt{d})\, v + x, \qquad y = a + \mathrm{MLP}(a)

    The MLP has four times the width and a GELU. (Algorithm 1 shows no activation, but two linear layers in a row would
    be equivalent to one.)

    Args:
        channels: of the tokens. heads: divides ``channels``.
        norm: pre-norm of the queries, of the memory and of the MLP's input.
        projection: True for an output projection with bias, and q, k, v without bias (the usual form); False for q, k,
            v with bias and no projection (Algorithm 1).
        cross: whether a memory will be passed; it then has a norm of its own.

    Shapes:
        x: (B, N, C); memory: (B, M, C); bias: (B, M or N), see :func:`multi_head_attention`; returns (B, N, C).
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

    def attention_weights(self, x: Tensor, memory: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attention weights of each query over the memory, averaged over the heads: (B, N, M), rows sum to 1.

        Args, Shapes: as for :meth:`forward`.
        """
        q, k = self.query(self.norm(x)), self.key(self.norm_memory(memory))
        q, k = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (q, k))  # (B, heads, N or M, width)
        logits = q @ k.mT * q.shape[-1] ** -0.5
        if bias is not None:
            logits = logits + bias[:, None, None]
        return logits.softmax(-1).mean(1)

    def forward(self, x: Tensor, memory: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        count, channels = static_sizes(x, 1, 2)
        # Flattened to rows, linear layers are exported as a single product with bias (Gemm).
        x = x.reshape(-1, channels)
        normed = self.norm(x)
        source, keys = normed, count
        if memory is not None:
            source, keys = self.norm_memory(memory.reshape(-1, channels)), static_sizes(memory, 1)[0]
        q = split_heads(self.query(normed), count, self.heads)
        k, v = (split_heads(layer(source), keys, self.heads) for layer in (self.key, self.value))
        x = x + self.projection(attend_heads(q, k, v, bias).reshape(-1, channels))
        x = x + self.mlp(self.norm_mlp(x))
        return x.reshape(-1, count, channels)


class LGFA(nn.Module):
    """Local-global feature aggregation of two maps into one.

    FCToken: the two maps, concatenated and passed through a linear layer, are the queries. SAToken: self-attention of a
    class token and the cells of both maps. The queries then cross-attend to the SAToken.

    Args:
        channels: c of both maps and of the output.
        variant: a key of :data:`~lgnet_core.network.config.LGFA_VARIANTS`.

    Shapes:
        first, second: (B, c, H, W); second_present: (B,) 1, or 0 where the second map is masked (None: nowhere);
        returns (B, c, H, W). Tokens: FCToken (B, H W, c), SAToken (B, 2 H W + 1, c).
    """

    def __init__(self, channels: int, variant: str = "default") -> None:
        super().__init__()
        spec = LGFA_VARIANTS[variant]

        def blocks(cross: bool) -> nn.ModuleList:
            return nn.ModuleList(
                AttentionBlock(channels, spec.heads, spec.norm, spec.eanet_extras, cross) for _ in range(spec.depth)
            )

        self.join = nn.Linear(2 * channels, channels)
        self.class_token = nn.Parameter(torch.randn(1, 1, channels) * 0.02)
        self.self_blocks = blocks(cross=False)
        self.cross_blocks = None if spec.shared else blocks(cross=True)
        self.self_out = nn.Linear(channels, channels) if spec.eanet_extras else nn.Identity()
        self.cross_out = nn.Linear(channels, channels) if spec.eanet_extras else nn.Identity()
        self.embeddings = TokenEmbeddings(channels) if spec.eanet_extras else None

    def forward(self, first: Tensor, second: Tensor, second_present: Tensor | None = None) -> Tensor:
        bias = None if second_present is None else self._bias(first, second_present)
        queries, context = self._tokens(first, second, bias)
        for block in self._cross_blocks():
            queries = block(queries, context, bias)
        return tokens_to_map(self.cross_out(queries), first)

    def attention_weights(self, first: Tensor, second: Tensor, second_present: Tensor | None = None) -> Tensor:
        """Attention weights of the last block over the cells of both maps, averaged over queries and heads.

        Shapes:
            first, second, second_present: as for :meth:`forward`; returns (B, 2, H, W), whose sum is 1 minus the weight
            of the class token.
        """
        bias = None if second_present is None else self._bias(first, second_present)
        queries, context = self._tokens(first, second, bias)
        *earlier, last = self._cross_blocks()
        for block in earlier:
            queries = block(queries, context, bias)
        weights = last.attention_weights(queries, context, bias).mean(1)
        return weights[:, 1:].unflatten(1, (2, *first.shape[-2:]))

    def _cross_blocks(self) -> list[AttentionBlock]:
        return [cast(AttentionBlock, block) for block in self.cross_blocks or self.self_blocks]

    @staticmethod
    def _bias(first: Tensor, second_present: Tensor) -> Tensor:
        """(B, 2 H W + 1): masks the cells of absent second maps, never the class token and the first map."""
        height, width = static_sizes(first, 2, 3)
        is_second = torch.zeros(2 * height * width + 1, device=first.device)
        is_second[height * width + 1 :] = 1
        return mask_bias(second_present)[:, None] * is_second

    def _tokens(self, first: Tensor, second: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """FCToken (the queries) and SAToken (their memory)."""
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
    """EANet's position embeddings: of the context, of the queries, and of the context as memory of the queries."""

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


def record_lgfa_attention(
    modules: Mapping[str, tuple[LGFA, str, str]], run: Callable[[], object]
) -> list[AttentionMap]:
    """Record the attention maps of LGFA modules, two per module, during a forward pass.

    Args:
        modules: for each name, the module and descriptions of its first and second map.
        run: executes the forward pass.
    """
    recorded: list[AttentionMap] = []

    def make_hook(name: str, first: str, second: str) -> Callable[..., None]:
        def hook(module: LGFA, inputs: tuple[Tensor, ...], _: Tensor) -> None:
            for map_name, weights in zip((first, second), module.attention_weights(*inputs).unbind(1)):
                recorded.append(AttentionMap(f"{name}: {map_name}", weights))

        return hook

    with ExitStack() as hooks:
        for name, (module, first, second) in modules.items():
            hooks.callback(module.register_forward_hook(make_hook(name, first, second)).remove)
        run()
    return recorded
