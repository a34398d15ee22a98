"""Attention blocks and LGFA: parameter counts, shapes, Algorithm 1, masking, symmetries."""

import pytest
import torch
import torch.nn.functional as F
from support.parameters import parameter_count
from torch.testing import assert_close

from lgnet_core.network.config import LGFA_VARIANTS
from lgnet_core.network.lgnet.attention import LGFA, AttentionBlock, mask_bias, multi_head_attention


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_parameter_count_of_the_literal_variant_is_the_papers():
    assert parameter_count(LGFA(512, "literal")) == 3_412_992


def test_parameter_counts_of_the_other_variants():
    unshared = 3_412_992 + 3 * (512 * 512 + 512) + 2 * 512 * 2048 + 2048 + 512
    norms = 5 * 2 * 512
    assert parameter_count(LGFA(512, "default")) == unshared + norms
    assert parameter_count(LGFA(512, "eanet")) == pytest.approx(26.42e6, rel=1e-3)


@pytest.mark.parametrize("variant", LGFA_VARIANTS)
@pytest.mark.parametrize("size", [8, 4])
def test_shapes(variant, size):
    lgfa = LGFA(32, variant).eval()
    context_shapes = []
    lgfa.self_blocks[-1].register_forward_hook(lambda module, args, out: context_shapes.append(tuple(out.shape)))
    out = lgfa(torch.randn(2, 32, size, size), torch.randn(2, 32, size, size))
    assert out.shape == (2, 32, size, size)
    assert context_shapes[0] == (2, 2 * size * size + 1, 32)  # 129 tokens for 8x8 maps, including the class token


@pytest.mark.parametrize("variant", LGFA_VARIANTS)
def test_every_parameter_has_its_own_storage_and_a_gradient(variant):
    lgfa = LGFA(16, variant)
    state = lgfa.state_dict()
    assert len({value.data_ptr() for value in state.values()}) == len(state)  # safetensors rejects shared storage
    lgfa(torch.randn(1, 16, 8, 8), torch.randn(1, 16, 8, 8)).square().sum().backward()
    assert [name for name, p in lgfa.named_parameters() if p.grad is None] == []


def test_literal_variant_is_algorithm_1():
    c = 12
    lgfa = LGFA(c, "literal").double()
    first, second = torch.randn(2, 1, c, 3, 3, dtype=torch.float64)
    block = lgfa.self_blocks[0]

    def tokens(x):
        return x[0].reshape(c, 9).T

    def transformer(x, memory):
        q, k, v = block.query(x), block.key(memory), block.value(memory)
        a = torch.softmax(q @ k.T / c**0.5, -1) @ v + x
        return block.mlp[2](F.gelu(block.mlp[0](a))) + a

    queries = lgfa.join(torch.cat([tokens(first), tokens(second)], 1))
    context = torch.cat([lgfa.class_token[0], tokens(first), tokens(second)])
    expected = transformer(queries, transformer(context, context)).T.reshape(1, c, 3, 3)
    assert_close(lgfa(first, second), expected)


def test_permuting_cells_permutes_the_output_without_embeddings():
    lgfa = LGFA(16, "default").double().eval()
    first, second = torch.randn(2, 1, 16, 4, 4, dtype=torch.float64)
    order = torch.randperm(16)

    def permute(x):
        return x.flatten(2)[..., order].view_as(x)

    assert_close(lgfa(permute(first), permute(second)), permute(lgfa(first, second)))


def test_multi_head_attention_equals_torch():
    c, heads = 24, 4
    reference = torch.nn.MultiheadAttention(c, heads, bias=False, batch_first=True)
    x, memory = torch.randn(2, 5, c), torch.randn(2, 7, c)
    q, k, v = reference.in_proj_weight.chunk(3)
    attended = multi_head_attention(F.linear(x, q), F.linear(memory, k), F.linear(memory, v), heads)
    assert_close(reference.out_proj(attended), reference(x, memory, memory)[0], atol=1e-5, rtol=1e-5)


def test_attention_weights_equal_torch():
    """Compared with torch's module with the same weights and normalised inputs, averaged over the heads."""
    block = AttentionBlock(24, heads=4, cross=True).eval()
    reference = torch.nn.MultiheadAttention(24, 4, bias=False, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([block.query.weight, block.key.weight, block.value.weight]))
        x, memory = torch.randn(2, 5, 24), torch.randn(2, 7, 24)
        normed = block.norm_memory(memory)
        expected = reference(block.norm(x), normed, normed, need_weights=True)[1]
        weights = block.attention_weights(x, memory)
    assert_close(weights, expected)
    assert_close(weights.sum(-1), torch.ones(2, 5))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("variant", LGFA_VARIANTS)
def test_attention_weights_of_lgfa_are_those_of_its_last_block(variant, masked):
    """Weights of both maps and the class token sum to 1; a masked second map has none."""
    present = torch.tensor([1.0, 0.0]) if masked else None
    lgfa = LGFA(16, variant).eval()
    first, second = torch.randn(2, 2, 16, 4, 4)
    with torch.no_grad():
        weights = lgfa.attention_weights(first, second, present)
        block = (lgfa.cross_blocks or lgfa.self_blocks)[-1]
        block_inputs = []
        hook = block.register_forward_hook(lambda module, args, out: block_inputs.append(args))
        lgfa(first, second, present)
        hook.remove()
        expected = block.attention_weights(*block_inputs[-1]).mean(1)
    assert weights.shape == (2, 2, 4, 4)
    assert_close(weights.flatten(1), expected[:, 1:])
    assert_close(weights.sum((1, 2, 3)) + expected[:, 0], torch.ones(2))
    assert (weights.sum((2, 3))[:, 1] > 1e-20).tolist() == [True, not masked]


def test_self_attention_equals_cross_attention_to_itself():
    block = AttentionBlock(16, cross=True)
    x = torch.randn(2, 5, 16)
    assert_close(block(x), block(x, x))  # both norms have the same initial weights


def test_masked_tokens_have_no_influence():
    """Same result as without the masked tokens, with a different mask for each item of the batch."""
    q, k, v = torch.randn(2, 5, 24), *torch.randn(2, 2, 7, 24)
    present = torch.ones(2, 7)
    present[0, [1, 6]] = present[1, 3] = 0
    masked = multi_head_attention(q, k, v, 4, mask_bias(present))
    for item, kept in enumerate(present > 0):
        expected = multi_head_attention(q[item, None], k[item, None, kept], v[item, None, kept], 4)[0]
        assert_close(masked[item], expected, atol=1e-6, rtol=1e-6)


def test_masks_equal_torch():
    q, k, v = torch.randn(2, 5, 24), *torch.randn(2, 2, 7, 24)
    present = torch.tensor([[1.0, 0, 1, 1, 1, 0, 1], [1, 1, 1, 1, 1, 1, 1]])
    heads = [x.unflatten(-1, (4, 6)).transpose(1, 2) for x in (q, k, v)]
    expected = F.scaled_dot_product_attention(*heads, attn_mask=(present > 0)[:, None, None])
    assert_close(multi_head_attention(q, k, v, 4, mask_bias(present)), expected.transpose(1, 2).flatten(2))


def test_result_is_finite_if_all_tokens_are_masked():
    q, k, v = torch.randn(1, 5, 24), *torch.randn(2, 1, 7, 24)
    assert_close(
        multi_head_attention(q, k, v, 4, mask_bias(torch.zeros(1, 7))),
        multi_head_attention(q, k, v, 4),
        atol=1e-2,
        rtol=0,
    )


@pytest.mark.parametrize("variant", LGFA_VARIANTS)
def test_masked_map_enters_only_through_the_queries(variant):
    """Its keys and values are masked: if the queries ignore it too, it has no influence."""
    lgfa = LGFA(16, variant).eval()
    first, second, other = torch.randn(3, 2, 16, 4, 4)
    masked, present = torch.zeros(2), torch.ones(2)
    assert torch.equal(lgfa(first, second, present), lgfa(first, second))
    with torch.no_grad():
        lgfa.join.weight[:, 16:] = 0
        assert torch.equal(lgfa(first, second, masked), lgfa(first, other, masked))
        assert not torch.equal(lgfa(first, second, present), lgfa(first, other, present))
        mixed = lgfa(first, second, torch.tensor([1.0, 0]))
    assert_close(mixed[:1], lgfa(first, second, present)[:1])
    assert_close(mixed[1:], lgfa(first, second, masked)[1:])


@pytest.mark.parametrize("variant", LGFA_VARIANTS)
def test_masked_map_has_no_attention_weight(variant):
    lgfa = LGFA(16, variant).eval()
    first, second = torch.randn(2, 2, 16, 4, 4)
    with torch.no_grad():
        weights = lgfa.attention_weights(first, second, torch.tensor([1.0, 0]))
        assert_close(weights[:1], lgfa.attention_weights(first, second)[:1])
    assert weights[1, 1].sum() < 1e-20
    assert weights[1, 0].sum() > 0
