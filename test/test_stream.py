import torch
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.training.stream import EndlessHands, StepSampler


@given(st.integers(1, 40), st.integers(1, 7), st.integers(0, 100))
def test_every_picture_once_a_pass(pictures, batch_size, seed):
    sampler = StepSampler(pictures, batch_size, 1, lambda: 0, seed)
    seen = [p for step in range(pictures) for p in sampler.batch(step)]  # batch_size whole passes
    assert all(sorted(seen[k : k + pictures]) == list(range(pictures)) for k in range(0, len(seen), pictures))


@given(st.integers(0, 50), st.integers(1, 20))
def test_goes_on_where_the_training_stands(position, steps):
    """A stretch from step k yields what an uninterrupted training sees from step k on."""
    whole = StepSampler(17, 4, 100, lambda: 0, seed=3)
    later = StepSampler(17, 4, steps, lambda: position, seed=3)
    assert list(later) == list(whole)[position : position + steps]
    assert len(later) == steps


def test_processes_share_the_pictures():
    one = StepSampler(24, 8, 3, lambda: 0, seed=1)
    two = [StepSampler(24, 4, 3, lambda: 0, seed=1, rank=r, world=2) for r in range(2)]
    assert [a + b for a, b in zip(*two)] == list(one)


def test_an_endless_supply_is_never_repeated():
    sampler = StepSampler(None, 4, 2, lambda: 10)
    assert list(sampler) == [[40, 41, 42, 43], [44, 45, 46, 47]]


def test_endless_hands_make_what_is_asked_for():
    class Generator:
        def crops(self, indices, size):
            return indices, size

    (batch,) = EndlessHands(Generator(), 64).__getitems__([5, 6])
    assert torch.equal(batch[0], torch.tensor([5, 6]))
    assert batch[1] == 64
