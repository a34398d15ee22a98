"""All that hands wear, together: the same in any batch, and seldom anything."""

import torch
from support.rest_surface import covered

from lgnet_core.synthetic.body.accessories import Accessories
from lgnet_core.synthetic.body.skin import noise_volume
from lgnet_core.synthetic.random import Draws

IMAGES = torch.arange(60)


def put_on(rest_hands, hand_model, indices):
    accessories = Accessories(hand_model, rest_hands.arms)
    vertices = rest_hands.vertices.expand(len(indices), -1, -1)
    return accessories(rest_hands.surface(len(indices)), vertices, noise_volume(), Draws(3, indices))


def colours(surface):
    """(3, N) of what is worn, 0 where nothing is."""
    seen = torch.zeros(3, len(surface.batch))
    for coat in surface.coats:
        seen[:, coat.fragment] = torch.lerp(seen[:, coat.fragment], coat.colour, coat.opacity)
    return seen


def test_a_image_is_dressed_the_same_in_any_batch(rest_hands, hand_model):
    together = put_on(rest_hands, hand_model, IMAGES)
    for k in (4, 17, 33):
        alone = put_on(rest_hands, hand_model, IMAGES[k : k + 1])
        mine = together.batch == k
        torch.testing.assert_close(colours(alone), colours(together)[:, mine], atol=1e-5, rtol=0)
        torch.testing.assert_close(alone.normal, together.normal[:, mine], atol=1e-4, rtol=0)


def test_most_hands_are_bare(rest_hands, hand_model):
    surface = put_on(rest_hands, hand_model, IMAGES)
    hidden = covered(surface, surface.coats)
    dressed = hidden.view(len(IMAGES), -1).any(1)
    assert 0.25 < dressed.float().mean() < 0.6
    assert hidden.float().mean() < 0.1


def test_coats_name_each_fragment_once(rest_hands, hand_model):
    for coat in put_on(rest_hands, hand_model, IMAGES[:20]).coats:
        assert len(coat.fragment) == len(coat.fragment.unique())
        for values in coat[1:]:
            assert torch.isfinite(values).all()
        assert (coat.opacity >= 0).all()
        assert (coat.opacity <= 1).all()
        assert (coat.metal >= 0).all()
        assert (coat.metal <= 1).all()
