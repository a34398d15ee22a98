"""Accessories in combination: determinism, frequency and validity of coats."""

import torch
from support.rest_surface import covered

from lgnet_core.synthetic.body.accessories import Accessories
from lgnet_core.synthetic.body.skin import noise_volume
from lgnet_core.synthetic.rng import CounterRng

IMAGES = torch.arange(60)


def apply_accessories(rest_hands, hand_model, indices):
    accessories = Accessories(hand_model, rest_hands.arms)
    vertices = rest_hands.vertices.expand(len(indices), -1, -1)
    return accessories(rest_hands.surface(len(indices)), vertices, noise_volume(), CounterRng(3, indices))


def colours(surface):
    """Composited colours (3, N) of the coats, 0 where there are none."""
    composite = torch.zeros(3, len(surface.batch))
    for coat in surface.coats:
        composite[:, coat.fragment] = torch.lerp(composite[:, coat.fragment], coat.colour, coat.opacity)
    return composite


def test_accessories_are_independent_of_batch(rest_hands, hand_model):
    together = apply_accessories(rest_hands, hand_model, IMAGES)
    for k in (4, 17, 33):
        alone = apply_accessories(rest_hands, hand_model, IMAGES[k : k + 1])
        selected = together.batch == k
        torch.testing.assert_close(colours(alone), colours(together)[:, selected], atol=1e-5, rtol=0)
        torch.testing.assert_close(alone.normal, together.normal[:, selected], atol=1e-4, rtol=0)


def test_most_hands_wear_nothing(rest_hands, hand_model):
    surface = apply_accessories(rest_hands, hand_model, IMAGES)
    hidden = covered(surface, surface.coats)
    has_accessory = hidden.view(len(IMAGES), -1).any(1)
    assert 0.25 < has_accessory.float().mean() < 0.6
    assert hidden.float().mean() < 0.1


def test_coats_have_unique_fragments_and_valid_values(rest_hands, hand_model):
    for coat in apply_accessories(rest_hands, hand_model, IMAGES[:20]).coats:
        assert len(coat.fragment) == len(coat.fragment.unique())
        for values in coat[1:]:
            assert torch.isfinite(values).all()
        assert (coat.opacity >= 0).all()
        assert (coat.opacity <= 1).all()
        assert (coat.metallic >= 0).all()
        assert (coat.metallic <= 1).all()
