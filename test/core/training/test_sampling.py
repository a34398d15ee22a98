import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.training.sampling import BLOCK, MixtureComponent, SampleIndex, StepSampler, parts_of_block


@given(st.integers(1, 40), st.integers(1, 7), st.integers(0, 100))
def test_every_image_once_a_pass(images, batch_size, seed):
    sampler = StepSampler([MixtureComponent(images)], batch_size, 1, lambda: 0, seed)
    seen = [draw.image for step in range(images) for draw in sampler.batch(step)]  # batch_size whole passes
    assert all(sorted(seen[k : k + images]) == list(range(images)) for k in range(0, len(seen), images))


@given(st.integers(0, 50), st.integers(1, 20))
def test_goes_on_where_the_training_stands(position, steps):
    """A stretch from step k yields what an uninterrupted training sees from step k on."""
    whole = StepSampler([MixtureComponent(17)], 4, 100, lambda: 0, seed=3)
    later = StepSampler([MixtureComponent(17)], 4, steps, lambda: position, seed=3)
    assert list(later) == list(whole)[position : position + steps]
    assert len(later) == steps


def test_processes_share_the_images():
    one = StepSampler([MixtureComponent(24)], 8, 3, lambda: 0, seed=1)
    two = [StepSampler([MixtureComponent(24)], 4, 3, lambda: 0, seed=1, rank=r, world=2) for r in range(2)]
    assert [a + b for a, b in zip(*two)] == list(one)


def test_an_endless_supply_is_never_repeated():
    sampler = StepSampler([MixtureComponent(None)], 4, 2, lambda: 10)
    assert [[draw.image for draw in batch] for batch in sampler] == [[40, 41, 42, 43], [44, 45, 46, 47]]


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=4), st.integers(0, 50))
def test_several_sets_take_turns_by_their_weights(weights, seed):
    """In every block of draws each set has its part; of each set every image comes once before one comes twice."""
    sizes = [7, 300, 11, 500][: len(weights)]
    sampler = StepSampler([MixtureComponent(n, w) for n, w in zip(sizes, weights)], 10, 1, lambda: 0, seed)
    draws = [draw for step in range(3 * BLOCK // 10) for draw in sampler.batch(step)]
    for block in range(3):
        part = draws[block * BLOCK : (block + 1) * BLOCK]
        counts = [sum(draw.source == k for draw in part) for k in range(len(weights))]
        for count, weight in zip(counts, weights):
            assert abs(count - BLOCK * weight / sum(weights)) <= 1
    for k, size in enumerate(sizes):
        mine = [draw for draw in draws if draw.source == k]
        for start in range(0, len(mine), size):
            visit = mine[start : start + size]
            assert len({draw.image for draw in visit}) == len(visit)
            assert {draw.visit for draw in visit} == {start // size}


def test_a_mixture_goes_on_where_the_training_stands_and_is_shared_by_processes():
    shares = [MixtureComponent(50, 0.7), MixtureComponent(None, 0.3)]
    whole = list(StepSampler(shares, 8, 200, lambda: 0, seed=3))
    assert list(StepSampler(shares, 8, 60, lambda: 140, seed=3)) == whole[140:]
    two = [list(StepSampler(shares, 4, 200, lambda: 0, seed=3, rank=r, world=2)) for r in range(2)]
    assert [a + b for a, b in zip(*two)] == whole
    endless = [draw.image for batch in whole for draw in batch if draw.source == 1]
    assert endless == list(range(len(endless)))
    assert whole[0][0] == SampleIndex(*whole[0][0])


def test_a_weight_too_small_to_be_drawn_is_refused():
    assert parts_of_block([0.7, 0.3]) == [700, 300]
    assert parts_of_block([1, 1, 1]) == [334, 333, 333]
    with pytest.raises(ValueError, match="leave its set out"):
        parts_of_block([1, 1e-6])
