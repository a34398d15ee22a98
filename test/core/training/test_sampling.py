import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgnet_core.training.sampling import (
    MIXTURE_PERIOD,
    MixtureComponent,
    SampleIndex,
    StepSampler,
    samples_per_period,
)


@given(st.integers(1, 40), st.integers(1, 7), st.integers(0, 100))
def test_each_pass_visits_every_image_once(images, batch_size, seed):
    sampler = StepSampler([MixtureComponent(images)], batch_size, 1, lambda: 0, seed)
    visited = [sample.image for step in range(images) for sample in sampler.batch(step)]  # batch_size whole passes
    assert all(sorted(visited[k : k + images]) == list(range(images)) for k in range(0, len(visited), images))


@given(st.integers(0, 50), st.integers(1, 20))
def test_resumes_at_the_current_step(position, steps):
    """An epoch that starts at step k yields the batches of an uninterrupted training from step k on."""
    uninterrupted = StepSampler([MixtureComponent(17)], 4, 100, lambda: 0, seed=3)
    resumed = StepSampler([MixtureComponent(17)], 4, steps, lambda: position, seed=3)
    assert list(resumed) == list(uninterrupted)[position : position + steps]
    assert len(resumed) == steps


def test_processes_split_the_batches():
    one = StepSampler([MixtureComponent(24)], 8, 3, lambda: 0, seed=1)
    two = [StepSampler([MixtureComponent(24)], 4, 3, lambda: 0, seed=1, rank=r, world_size=2) for r in range(2)]
    assert [a + b for a, b in zip(*two)] == list(one)


def test_endless_source_is_visited_in_order():
    sampler = StepSampler([MixtureComponent(None)], 4, 2, lambda: 10)
    assert [[sample.image for sample in batch] for batch in sampler] == [[40, 41, 42, 43], [44, 45, 46, 47]]


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=4), st.integers(0, 50))
def test_sources_are_sampled_by_weight(weights, seed):
    """Each source has its share of every period, and visits each of its images once per pass."""
    sizes = [7, 300, 11, 500][: len(weights)]
    sampler = StepSampler([MixtureComponent(n, w) for n, w in zip(sizes, weights)], 10, 1, lambda: 0, seed)
    samples = [sample for step in range(3 * MIXTURE_PERIOD // 10) for sample in sampler.batch(step)]
    for period in range(3):
        part = samples[period * MIXTURE_PERIOD : (period + 1) * MIXTURE_PERIOD]
        counts = [sum(sample.source == k for sample in part) for k in range(len(weights))]
        for count, weight in zip(counts, weights):
            assert abs(count - MIXTURE_PERIOD * weight / sum(weights)) <= 1
    for k, size in enumerate(sizes):
        of_source = [sample for sample in samples if sample.source == k]
        for start in range(0, len(of_source), size):
            visit = of_source[start : start + size]
            assert len({sample.image for sample in visit}) == len(visit)
            assert {sample.visit for sample in visit} == {start // size}


def test_mixture_resumes_at_the_current_step_and_is_split_over_processes():
    components = [MixtureComponent(50, 0.7), MixtureComponent(None, 0.3)]
    uninterrupted = list(StepSampler(components, 8, 200, lambda: 0, seed=3))
    assert list(StepSampler(components, 8, 60, lambda: 140, seed=3)) == uninterrupted[140:]
    two = [list(StepSampler(components, 4, 200, lambda: 0, seed=3, rank=r, world_size=2)) for r in range(2)]
    assert [a + b for a, b in zip(*two)] == uninterrupted
    endless = [sample.image for batch in uninterrupted for sample in batch if sample.source == 1]
    assert endless == list(range(len(endless)))
    assert uninterrupted[0][0] == SampleIndex(*uninterrupted[0][0])


def test_rejects_weight_too_small_to_be_sampled():
    assert samples_per_period([0.7, 0.3]) == [700, 300]
    assert samples_per_period([1, 1, 1]) == [334, 333, 333]
    with pytest.raises(ValueError, match="remove that data source"):
        samples_per_period([1, 1e-6])
