"""Draws depend on seed, index and name alone, and follow the distributions they name."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.synthetic.random import Draws

MANY = torch.arange(20_000)


@given(
    seed=st.integers(0, 2**40),
    indices=st.lists(st.integers(0, 2**40), min_size=1, max_size=8),
    where=st.integers(0, 7),
)
def test_a_image_draws_the_same_whatever_its_batch(seed, indices, where):
    together = torch.tensor(indices)
    alone = together[[where % len(indices)]]
    for draw in (lambda d: d.uniform("a", 3, 2), lambda d: d.normal("a", 5), lambda d: d.choice("a", [1, 2, 3], 4)):
        assert torch.equal(draw(Draws(seed, together))[[where % len(indices)]], draw(Draws(seed, alone)))


def test_names_seeds_indices_and_positions_give_unlike_numbers():
    reference = Draws(1, MANY).uniform("a", 2)
    for other in (Draws(1, MANY).uniform("b", 2), Draws(2, MANY).uniform("a", 2), Draws(1, MANY + 1).uniform("a", 2)):
        assert abs(torch.corrcoef(torch.stack([reference.flatten(), other.flatten()]))[0, 1]) < 0.02
    assert abs(torch.corrcoef(reference.T)[0, 1]) < 0.02
    neighbours = torch.stack([reference[:-1, 0], reference[1:, 0]])
    assert abs(torch.corrcoef(neighbours)[0, 1]) < 0.02


def test_a_draw_does_not_move_the_next():
    fresh, used = Draws(7, MANY[:4]), Draws(7, MANY[:4])
    used.normal("something", 3)
    assert torch.equal(fresh.uniform("a"), used.uniform("a"))


def test_uniform_fills_its_interval():
    x = Draws(3, MANY).uniform("x", low=-2.0, high=3.0)
    assert x.min() >= -2
    assert x.max() < 3
    counts = torch.histc(x, 10, -2, 3) / len(x)
    assert (counts - 0.1).abs().max() < 0.01


def test_normal_has_its_moments():
    x = Draws(3, MANY).normal("x", 2, mean=1.0, std=2.0)
    z = (x.double() - 1) / 2
    assert abs(z.mean()) < 0.02
    assert abs(z.var() - 1) < 0.03
    assert abs((z**4).mean() - 3) < 0.15
    assert torch.isfinite(x).all()


def test_bernoulli_and_choice_have_their_frequencies():
    draws = Draws(3, MANY)
    assert draws.bernoulli("b", 0.2).float().mean() == pytest.approx(0.2, abs=0.01)
    chosen = draws.choice("c", [1.0, 0.0, 3.0])
    assert torch.bincount(chosen, minlength=3).tolist()[1] == 0
    assert (chosen == 2).float().mean() == pytest.approx(0.75, abs=0.01)


def test_rotations_are_proper_and_uniform():
    rotation = Draws(3, MANY).rotation("r")
    eye = torch.eye(3).expand(len(MANY), 3, 3)
    assert torch.allclose(rotation @ rotation.transpose(1, 2), eye, atol=1e-5)
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(len(MANY)), atol=1e-5)
    assert rotation.mean(0).abs().max() < 0.02
    # the angle of a uniform rotation has E[cos] = -1/2, that is E[trace] = 0
    assert abs(rotation.diagonal(dim1=1, dim2=2).sum(1).mean()) < 0.03


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_draws_the_same_bits():
    cpu, cuda = Draws(5, MANY), Draws(5, MANY, "cuda")
    assert torch.equal(cpu.uniform("a", 3), cuda.uniform("a", 3).cpu())
    assert torch.allclose(cpu.normal("a", 3), cuda.normal("a", 3).cpu(), atol=1e-5)
