"""The sensor blurs without shifting or dimming, and its noise differs from picture to picture."""

import torch

from lgnet_core.data.synthetic.random import Draws
from lgnet_core.data.synthetic.sensor import Sensor

MANY = torch.arange(64)


def test_kernels_keep_light_and_place():
    kernels = Sensor()._kernels(Draws(1, MANY))
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(64))
    torch.testing.assert_close(kernels, kernels.flip(1, 2))  # symmetric about the centre: nothing moves
    centre = kernels[:, 2, 2]
    assert centre.max() > 0.8
    assert centre.min() < 0.25


def test_flat_pictures_stay_flat_but_for_noise():
    picture = torch.full((64, 3, 40, 48), 0.5)
    seen = Sensor()(picture, Draws(1, MANY))
    assert seen.shape == picture.shape
    noise = seen - 0.5
    assert noise.mean().abs() < 1e-3
    level = noise.std((1, 2, 3))
    assert level.max() < 0.04
    assert level.max() > 0.015
    assert (level < 1e-6).any()  # some pictures are clean
    strong = noise[level > 0.01].flatten(1)
    assert (torch.corrcoef(strong) - torch.eye(len(strong))).abs().max() < 0.2


def test_each_picture_on_its_own():
    picture = Draws(2, MANY).uniform("picture", 3, 24, 24)
    sensor = Sensor()
    together = sensor(picture.clone(), Draws(1, MANY))
    alone = sensor(picture[5:6].clone(), Draws(1, MANY[5:6]))
    torch.testing.assert_close(alone, together[5:6], rtol=0, atol=1e-6)
