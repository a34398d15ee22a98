"""Background textures: licences, sizes, value ranges and variety."""

from importlib.resources import files

import torch

from lgnet_core.synthetic.render.textures import TEXTURE_SIZE, load_photographs, make_noise_textures

FOLDER = files("lgnet_core.synthetic.render") / "photographs"


def test_photographs_have_licences_and_limited_size():
    names = [entry.name for entry in FOLDER.iterdir() if entry.name.endswith(".jpg")]
    licences = (FOLDER / "LICENSES.md").read_text()
    assert len(names) >= 10
    for name in names:
        row = next(line for line in licences.splitlines() if line.startswith(f"| {name} |"))
        assert "CC0 1.0" in row or "public domain" in row
    assert sum(len((FOLDER / name).read_bytes()) for name in names) <= 300_000


def test_photographs_include_defocused_variants():
    images = load_photographs()
    assert images.shape[1:] == (3, TEXTURE_SIZE, TEXTURE_SIZE)
    assert images.min() >= 0
    assert images.max() <= 1
    sharp, soft, softer = images.unflatten(0, (-1, 3)).unbind(1)
    detail = [(p.diff(dim=-1) ** 2).mean((1, 2, 3)) for p in (sharp, soft, softer)]
    assert (detail[0] > detail[1]).all()
    assert (detail[1] > detail[2]).all()
    torch.testing.assert_close(soft.mean((2, 3)), sharp.mean((2, 3)), rtol=0, atol=0.03)


def test_noise_textures_vary_in_frequency_and_colour():
    noise = make_noise_textures()
    assert noise.shape[1:] == (3, TEXTURE_SIZE, TEXTURE_SIZE)
    assert noise.min() >= 0
    assert noise.max() <= 1
    roughness = noise.diff(dim=-1).abs().mean((1, 2, 3)) / noise.std((1, 2, 3))
    assert roughness.max() > 20 * roughness.min()
    colour = (noise.amax(1) - noise.amin(1)).mean((1, 2))
    assert (colour < 1e-4).sum() >= 10
    assert (colour > 0.1).sum() >= 4
    assert torch.equal(noise, make_noise_textures())
