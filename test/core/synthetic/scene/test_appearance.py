"""Looks: finite, in range, and as wide as meant."""

import pytest
import torch

from lgnet_core.synthetic.colours import skin_colour
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.scene.appearance import INFRARED, Appearance, infrared, sample_appearance

MANY = torch.arange(2000)


@pytest.fixture(scope="module")
def looks():
    return sample_appearance(Draws(1, MANY))


def test_every_field_is_finite_per_image_and_independent_of_the_batch(looks):
    alone = sample_appearance(Draws(1, MANY[7:9]))
    for name in Appearance._fields:
        values = getattr(looks, name)
        assert len(values) == len(MANY), name
        assert torch.isfinite(values.float()).all(), name
        torch.testing.assert_close(getattr(alone, name), values[7:9], rtol=1e-5, atol=1e-6)


def test_skin_spans_the_human_range():
    colour, darkness = skin_colour(Draws(2, MANY), "skin")
    assert darkness.min() < 0.02
    assert darkness.max() > 0.98
    shown = colour ** (1 / 2.2)
    assert (shown.mean(1) > 0.75).float().mean() > 0.1
    assert (shown.mean(1) < 0.3).float().mean() > 0.1
    assert ((colour[:, 0] >= colour[:, 1]) & (colour[:, 1] >= colour[:, 2])).float().mean() > 0.9  # red > green > blue


def test_most_hands_belong_to_one_person(looks):
    same = (looks.skin[:, 0] == looks.skin[:, 1]).all(1)
    assert 0.8 < same.float().mean() < 0.92


def test_lights_are_above_more_often_and_vary_in_strength(looks):
    for direction in (looks.key_direction, looks.fill_direction, looks.sky_direction):
        torch.testing.assert_close(direction.norm(dim=1), torch.ones(len(MANY)))
    by_day = ~infrared(Draws(1, MANY))
    looks = Appearance(*(values[by_day] for values in looks))
    assert (looks.key_direction[:, 1] < 0).float().mean() > 0.6  # y points down
    assert (looks.key_direction[:, 2] > 0).float().mean() > 0.05  # some shine from behind
    level = (looks.key + looks.fill + looks.ambient).mean(1)
    assert level.quantile(0.95) > 2 * level.quantile(0.05)
    assert min(looks.key.min(), looks.ambient.min(), looks.exposure.min()) > 0
    warm = looks.key[:, 0] / looks.key[:, 2]
    assert warm.quantile(0.9) > 1.3
    assert warm.quantile(0.1) < 0.8


def test_infrared_images_have_bright_grey_skin_and_one_lamp_beside_the_camera(looks):
    chosen = infrared(Draws(1, MANY))
    assert abs(chosen.float().mean() - INFRARED) < 0.015
    seen, by_day = (Appearance(*(values[mask] for values in looks)) for mask in (chosen, ~chosen))
    assert (seen.skin == seen.skin[..., :1]).all()
    assert seen.skin.min() > 0.28
    assert seen.skin.std() < 0.4 * by_day.skin.std(), "dark and light skin differ little"
    assert (seen.key_direction[:, 2] < -0.8).all(), "the camera looks along +z"
    assert (seen.fill == 0).all()
    assert (seen.ambient < 0.1 * seen.key).all()
    assert (seen.surroundings < 0.85).all()
    assert (by_day.surroundings == 1).all()
    assert (seen.redness == 0).all()
