"""Counter-based random numbers: reproducibility, independence and distributions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.synthetic.rng import CounterRng

MANY = torch.arange(20_000)


@given(
    seed=st.integers(0, 2**40),
    indices=st.lists(st.integers(0, 2**40), min_size=1, max_size=8),
    where=st.integers(0, 7),
)
def test_samples_are_independent_of_batch(seed, indices, where):
    together = torch.tensor(indices)
    alone = together[[where % len(indices)]]
    for draw in (lambda d: d.uniform("a", 3, 2), lambda d: d.normal("a", 5), lambda d: d.choice("a", [1, 2, 3], 4)):
        assert torch.equal(draw(CounterRng(seed, together))[[where % len(indices)]], draw(CounterRng(seed, alone)))


def test_streams_are_uncorrelated():
    reference = CounterRng(1, MANY).uniform("a", 2)
    for other in (
        CounterRng(1, MANY).uniform("b", 2),
        CounterRng(2, MANY).uniform("a", 2),
        CounterRng(1, MANY + 1).uniform("a", 2),
    ):
        assert abs(torch.corrcoef(torch.stack([reference.flatten(), other.flatten()]))[0, 1]) < 0.02
    assert abs(torch.corrcoef(reference.T)[0, 1]) < 0.02
    neighbours = torch.stack([reference[:-1, 0], reference[1:, 0]])
    assert abs(torch.corrcoef(neighbours)[0, 1]) < 0.02


def test_sampling_has_no_state():
    fresh, used = CounterRng(7, MANY[:4]), CounterRng(7, MANY[:4])
    used.normal("something", 3)
    assert torch.equal(fresh.uniform("a"), used.uniform("a"))


def test_uniform_covers_interval():
    x = CounterRng(3, MANY).uniform("x", low=-2.0, high=3.0)
    assert x.min() >= -2
    assert x.max() < 3
    counts = torch.histc(x, 10, -2, 3) / len(x)
    assert (counts - 0.1).abs().max() < 0.01


def test_normal_has_expected_moments():
    x = CounterRng(3, MANY).normal("x", 2, mean=1.0, std=2.0)
    z = (x.double() - 1) / 2
    assert abs(z.mean()) < 0.02
    assert abs(z.var() - 1) < 0.03
    assert abs((z**4).mean() - 3) < 0.15
    assert torch.isfinite(x).all()


def test_bernoulli_and_choice_have_expected_frequencies():
    rng = CounterRng(3, MANY)
    assert rng.bernoulli("b", 0.2).float().mean() == pytest.approx(0.2, abs=0.01)
    chosen = rng.choice("c", [1.0, 0.0, 3.0])
    assert torch.bincount(chosen, minlength=3).tolist()[1] == 0
    assert (chosen == 2).float().mean() == pytest.approx(0.75, abs=0.01)


def test_rotations_are_proper_and_uniform():
    rotation = CounterRng(3, MANY).rotation("r")
    eye = torch.eye(3).expand(len(MANY), 3, 3)
    assert torch.allclose(rotation @ rotation.transpose(1, 2), eye, atol=1e-5)
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(len(MANY)), atol=1e-5)
    assert rotation.mean(0).abs().max() < 0.02
    # uniform rotations have E[cos(angle)] = -1/2, i.e. E[trace] = 0
    assert abs(rotation.diagonal(dim1=1, dim2=2).sum(1).mean()) < 0.03


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_and_cpu_samples_match():
    cpu, cuda = CounterRng(5, MANY), CounterRng(5, MANY, "cuda")
    assert torch.equal(cpu.uniform("a", 3), cuda.uniform("a", 3).cpu())
    assert torch.allclose(cpu.normal("a", 3), cuda.normal("a", 3).cpu(), atol=1e-5)
