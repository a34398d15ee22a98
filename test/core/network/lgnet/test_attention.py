"""Attention blocks and LGFA: parameter counts, shapes, Algorithm 1 written out, symmetries."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from lgnet_core.network.lgnet.attention import LGFA, LGFA_FORMS, AttentionBlock, attend, mask_bias


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def parameter_count(module):
    return sum(p.numel() for p in module.parameters())


def test_literal_lgfa_has_the_papers_size():
    assert parameter_count(LGFA(512, "literal")) == 3_412_992


def test_sizes_of_the_other_forms():
    unshared = 3_412_992 + 3 * (512 * 512 + 512) + 2 * 512 * 2048 + 2048 + 512
    norms = 5 * 2 * 512
    assert parameter_count(LGFA(512, "default")) == unshared + norms
    assert parameter_count(LGFA(512, "eanet")) == pytest.approx(26.42e6, rel=1e-3)


@pytest.mark.parametrize("form", LGFA_FORMS)
@pytest.mark.parametrize("size", [8, 4])
def test_shapes(form, size):
    lgfa = LGFA(32, form).eval()
    seen = []
    lgfa.self_blocks[-1].register_forward_hook(lambda module, args, out: seen.append(tuple(out.shape)))
    out = lgfa(torch.randn(2, 32, size, size), torch.randn(2, 32, size, size))
    assert out.shape == (2, 32, size, size)
    assert seen[0] == (2, 2 * size * size + 1, 32)  # 129 tokens on the 8x8 map, the class token among them


@pytest.mark.parametrize("form", LGFA_FORMS)
def test_every_parameter_has_a_name_and_a_gradient_of_its_own(form):
    lgfa = LGFA(16, form)
    state = lgfa.state_dict()
    assert len({value.data_ptr() for value in state.values()}) == len(state)  # safetensors refuses shared storage
    lgfa(torch.randn(1, 16, 8, 8), torch.randn(1, 16, 8, 8)).square().sum().backward()
    assert [name for name, p in lgfa.named_parameters() if p.grad is None] == []


def test_literal_lgfa_is_algorithm_1():
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


def test_without_embeddings_shuffled_cells_give_shuffled_cells():
    lgfa = LGFA(16, "default").double().eval()
    first, second = torch.randn(2, 1, 16, 4, 4, dtype=torch.float64)
    order = torch.randperm(16)

    def shuffle(x):
        return x.flatten(2)[..., order].view_as(x)

    assert_close(lgfa(shuffle(first), shuffle(second)), shuffle(lgfa(first, second)))


def test_attend_equals_torchs_multi_head_attention():
    c, heads = 24, 4
    reference = torch.nn.MultiheadAttention(c, heads, bias=False, batch_first=True)
    x, memory = torch.randn(2, 5, c), torch.randn(2, 7, c)
    q, k, v = reference.in_proj_weight.chunk(3)
    mixed = attend(F.linear(x, q), F.linear(memory, k), F.linear(memory, v), heads)
    assert_close(reference.out_proj(mixed), reference(x, memory, memory)[0], atol=1e-5, rtol=1e-5)


def test_shares_are_torchs_multi_head_attention_weights():
    """With the block's own weights and normalised inputs in torch's module, mean over the heads."""
    block = AttentionBlock(24, heads=4, cross=True).eval()
    reference = torch.nn.MultiheadAttention(24, 4, bias=False, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([block.query.weight, block.key.weight, block.value.weight]))
        x, memory = torch.randn(2, 5, 24), torch.randn(2, 7, 24)
        normed = block.norm_memory(memory)
        expected = reference(block.norm(x), normed, normed, need_weights=True)[1]
        shares = block.attention(x, memory)
    assert_close(shares, expected)
    assert_close(shares.sum(-1), torch.ones(2, 5))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("form", LGFA_FORMS)
def test_lgfa_tells_what_its_last_block_attends_to(form, masked):
    """Both maps and the class token share all attention; a masked second map gets none."""
    present = torch.tensor([1.0, 0.0]) if masked else None
    lgfa = LGFA(16, form).eval()
    first, second = torch.randn(2, 2, 16, 4, 4)
    with torch.no_grad():
        share = lgfa.attention(first, second, present)
        block = (lgfa.cross_blocks or lgfa.self_blocks)[-1]
        seen = []
        hook = block.register_forward_hook(lambda module, args, out: seen.append(args))
        lgfa(first, second, present)
        hook.remove()
        expected = block.attention(*seen[-1]).mean(1)
    assert share.shape == (2, 2, 4, 4)
    assert_close(share.flatten(1), expected[:, 1:])
    assert_close(share.sum((1, 2, 3)) + expected[:, 0], torch.ones(2))
    assert (share.sum((2, 3))[:, 1] > 1e-20).tolist() == [True, not masked]


def test_self_attention_is_cross_attention_with_itself():
    block = AttentionBlock(16, cross=True)
    x = torch.randn(2, 5, 16)
    assert_close(block(x), block(x, x))  # both norms start as the same


def test_a_masked_token_might_as_well_not_be_there():
    """To the last bit of what torch computes without it, for each item of the batch its own."""
    q, k, v = torch.randn(2, 5, 24), *torch.randn(2, 2, 7, 24)
    present = torch.ones(2, 7)
    present[0, [1, 6]] = present[1, 3] = 0
    found = attend(q, k, v, 4, mask_bias(present))
    for item, there in enumerate(present > 0):
        alone = attend(q[item, None], k[item, None, there], v[item, None, there], 4)[0]
        assert_close(found[item], alone, atol=1e-6, rtol=1e-6)


def test_masks_are_torchs():
    q, k, v = torch.randn(2, 5, 24), *torch.randn(2, 2, 7, 24)
    present = torch.tensor([[1.0, 0, 1, 1, 1, 0, 1], [1, 1, 1, 1, 1, 1, 1]])
    heads = [x.unflatten(-1, (4, 6)).transpose(1, 2) for x in (q, k, v)]
    expected = F.scaled_dot_product_attention(*heads, attn_mask=(present > 0)[:, None, None])
    assert_close(attend(q, k, v, 4, mask_bias(present)), expected.transpose(1, 2).flatten(2))


def test_where_all_tokens_are_masked_the_result_is_finite():
    q, k, v = torch.randn(1, 5, 24), *torch.randn(2, 1, 7, 24)
    assert_close(attend(q, k, v, 4, mask_bias(torch.zeros(1, 7))), attend(q, k, v, 4), atol=1e-2, rtol=0)


@pytest.mark.parametrize("form", LGFA_FORMS)
def test_a_masked_map_enters_by_the_queries_alone(form):
    """No key or value is of it: where the queries do not see it either, it may be anything."""
    lgfa = LGFA(16, form).eval()
    first, second, other = torch.randn(3, 2, 16, 4, 4)
    masked, given = torch.zeros(2), torch.ones(2)
    assert torch.equal(lgfa(first, second, given), lgfa(first, second))
    with torch.no_grad():
        lgfa.join.weight[:, 16:] = 0
        assert torch.equal(lgfa(first, second, masked), lgfa(first, other, masked))
        assert not torch.equal(lgfa(first, second, given), lgfa(first, other, given))
        mixed = lgfa(first, second, torch.tensor([1.0, 0]))
    assert_close(mixed[:1], lgfa(first, second, given)[:1])
    assert_close(mixed[1:], lgfa(first, second, masked)[1:])


@pytest.mark.parametrize("form", LGFA_FORMS)
def test_a_masked_map_has_no_share_of_the_attention(form):
    lgfa = LGFA(16, form).eval()
    first, second = torch.randn(2, 2, 16, 4, 4)
    with torch.no_grad():
        share = lgfa.attention(first, second, torch.tensor([1.0, 0]))
        assert_close(share[:1], lgfa.attention(first, second)[:1])
    assert share[1, 1].sum() < 1e-20
    assert share[1, 0].sum() > 0
