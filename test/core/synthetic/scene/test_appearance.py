"""Appearance sampling: finite values, ranges and distributions."""

import pytest
import torch

from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.appearance import INFRARED_PROBABILITY, Appearance, sample_appearance, sample_infrared

MANY = torch.arange(2000)


@pytest.fixture(scope="module")
def appearance():
    return sample_appearance(CounterRng(1, MANY))


def test_fields_are_finite_and_independent_of_batch(appearance):
    alone = sample_appearance(CounterRng(1, MANY[7:9]))
    for name in Appearance._fields:
        values = getattr(appearance, name)
        assert len(values) == len(MANY), name
        assert torch.isfinite(values.float()).all(), name
        torch.testing.assert_close(getattr(alone, name), values[7:9], rtol=1e-5, atol=1e-6)


def test_most_images_show_one_person(appearance):
    same = (appearance.skin[:, 0] == appearance.skin[:, 1]).all(1)
    assert 0.8 < same.float().mean() < 0.92


def test_lights_are_mostly_above_and_vary_in_intensity(appearance):
    for direction in (appearance.key_direction, appearance.fill_direction, appearance.sky_direction):
        torch.testing.assert_close(direction.norm(dim=1), torch.ones(len(MANY)))
    visible_light = ~sample_infrared(CounterRng(1, MANY))
    appearance = Appearance(*(values[visible_light] for values in appearance))
    assert (appearance.key_direction[:, 1] < 0).float().mean() > 0.6  # y points down
    assert (appearance.key_direction[:, 2] > 0).float().mean() > 0.05  # some are back lights
    level = (appearance.key + appearance.fill + appearance.ambient).mean(1)
    assert level.quantile(0.95) > 2 * level.quantile(0.05)
    assert min(appearance.key.min(), appearance.ambient.min(), appearance.exposure.min()) > 0
    warm = appearance.key[:, 0] / appearance.key[:, 2]
    assert warm.quantile(0.9) > 1.3
    assert warm.quantile(0.1) < 0.8


def test_infrared_images_have_bright_grey_skin_and_frontal_light(appearance):
    chosen = sample_infrared(CounterRng(1, MANY))
    assert abs(chosen.float().mean() - INFRARED_PROBABILITY) < 0.015
    infrared, visible_light = (Appearance(*(values[mask] for values in appearance)) for mask in (chosen, ~chosen))
    assert (infrared.skin == infrared.skin[..., :1]).all()
    assert infrared.skin.min() > 0.28
    assert infrared.skin.std() < 0.4 * visible_light.skin.std(), "dark and light skin differ little"
    assert (infrared.key_direction[:, 2] < -0.8).all(), "the camera looks along +z"
    assert (infrared.fill == 0).all()
    assert (infrared.ambient < 0.1 * infrared.key).all()
    assert (infrared.background_gain < 0.85).all()
    assert (visible_light.background_gain == 1).all()
    assert (infrared.redness == 0).all()
