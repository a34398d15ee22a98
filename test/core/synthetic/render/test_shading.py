"""Shading: linearity in light and albedo, coats, metal and tone mapping, on an artificial surface."""

import pytest
import torch
from torch.nn.functional import normalize

from lgnet_core.synthetic.body.forearm import HEM, SKIN, SLEEVE
from lgnet_core.synthetic.body.skin import NAIL, noise_volume
from lgnet_core.synthetic.body.surface import Coat, Surface
from lgnet_core.synthetic.render.shading import albedo, radiance, tone_map
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.appearance import sample_appearance

COUNT, IMAGES = 600, 30


@pytest.fixture(scope="module")
def volume():
    return noise_volume()


@pytest.fixture
def appearance():
    return sample_appearance(CounterRng(1, torch.arange(IMAGES)))


def surface(seed=0, material=SKIN, details=0.0):
    generator = torch.Generator().manual_seed(seed)
    normal = normalize(torch.randn(3, COUNT, generator=generator), dim=0)
    return Surface(
        batch=torch.arange(COUNT) % IMAGES,
        side=torch.arange(COUNT) // IMAGES % 2,
        material=torch.full((COUNT,), material),
        position=torch.tensor([0.0, 0, 0.6])[:, None] + 0.05 * torch.randn(3, COUNT, generator=generator),
        normal=normal * -normal[2].sign(),  # towards the camera
        rest=0.05 * torch.randn(3, COUNT, generator=generator),
        details=torch.full((4, COUNT), details),
    )


def test_shadow_reduces_light_without_removing_it(appearance):
    fragments = surface()
    grey = torch.full((3, COUNT), 0.5)
    key_visibility, half_extents, dark = (
        radiance(fragments, grey, torch.full((COUNT,), x), appearance) for x in (1.0, 0.5, 0.0)
    )
    assert (key_visibility >= half_extents - 1e-6).all()
    assert (half_extents >= dark - 1e-6).all()
    assert (dark.sum(0) > 0).all()
    torch.testing.assert_close((key_visibility + dark) / 2, half_extents)  # light adds up


def test_diffuse_light_is_proportional_to_albedo(appearance):
    fragments, key_visibility = surface(), torch.ones(COUNT)
    black, grey, white = (
        radiance(fragments, torch.full((3, COUNT), x), key_visibility, appearance) for x in (0.0, 0.3, 0.6)
    )
    torch.testing.assert_close(grey - black, (white - black) / 2, rtol=1e-4, atol=1e-5)


def test_surface_facing_light_is_brighter(appearance):
    grey, key_visibility = torch.full((3, COUNT), 0.5), torch.ones(COUNT)
    appearance = appearance._replace(
        specular=torch.zeros_like(appearance.specular), ambient=torch.zeros_like(appearance.ambient)
    )
    appearance = appearance._replace(fill=torch.zeros_like(appearance.fill))
    fragments = surface()
    towards = appearance.key_direction.T.index_select(1, fragments.batch)
    facing, away = (
        radiance(fragments._replace(normal=n), grey, key_visibility, appearance) for n in (towards, -towards)
    )
    assert (facing.sum(0) > 0).all()
    assert (away == 0).all()


def test_albedo_of_skin_nails_and_cloth(appearance, volume):
    plain = appearance._replace(
        noise_weights=torch.zeros_like(appearance.noise_weights), redness=torch.zeros_like(appearance.redness)
    )
    bare = surface()
    person = (bare.batch, bare.side)
    torch.testing.assert_close(albedo(bare, plain, volume).T, plain.skin[person].clamp(0.005, 1))
    nail = bare.details.clone()
    nail[NAIL] = 1
    mixed = 0.15 * plain.skin[person] + 0.85 * plain.nail[person]
    torch.testing.assert_close(albedo(bare._replace(details=nail), plain, volume).T, mixed.clamp(0.005, 1))
    unicolour = plain._replace(pattern=torch.zeros_like(plain.pattern))
    cloth = albedo(surface(material=SLEEVE), unicolour, volume)
    hem = albedo(surface(material=HEM), unicolour, volume)
    ratio = cloth / unicolour.cloth[bare.batch].T.clamp_min(0.005)
    assert (ratio - 1).abs().median() < 0.2
    assert (hem <= cloth).all()


def coat(fragment, opacity=1.0, metallic=0.0, colour=(0.2, 0.3, 0.4), specular=0.1, shininess=20.0):
    count = len(fragment)
    numbers = (torch.full((count,), value) for value in (opacity, specular, shininess, metallic))
    opacities, glosses, sharpnesses, metals = numbers
    return Coat(fragment, torch.tensor(colour)[:, None].expand(3, count), opacities, glosses, sharpnesses, metals)


def test_coats_are_composited_in_order(appearance, volume):
    bare, covered = surface(), torch.arange(0, COUNT, 3)
    below, above = coat(covered, colour=(0.9, 0.1, 0.1)), coat(covered[::2], colour=(0.1, 0.1, 0.9))
    before, after = (albedo(s, appearance, volume) for s in (bare, bare._replace(coats=(below, above))))
    rest = torch.ones(COUNT, dtype=torch.bool)
    rest[covered] = False
    assert torch.equal(after[:, rest], before[:, rest])
    torch.testing.assert_close(after[:, covered[1::2]], below.colour[:, 1::2])
    torch.testing.assert_close(after[:, covered[::2]], above.colour)
    half_extents = albedo(bare._replace(coats=(below._replace(opacity=below.opacity / 2),)), appearance, volume)
    mean, dull = (before[:, covered] + below.colour) / 2, before[:, covered] < 1  # values above 1 are clipped
    torch.testing.assert_close(half_extents[:, covered][dull], mean[dull])


def test_coats_have_their_own_specular_reflection(appearance):
    fragments, grey, key_visibility = surface(), torch.full((3, COUNT), 0.4), torch.ones(COUNT)
    everything = torch.arange(COUNT)
    matte, glossy = (
        radiance(
            fragments._replace(coats=(coat(everything, specular=g, shininess=10.0),)), grey, key_visibility, appearance
        )
        for g in (0.0, 0.8)
    )
    assert (glossy >= matte).all()
    assert (glossy > matte + 0.05).any()
    unseen = radiance(
        fragments._replace(coats=(coat(everything, opacity=0.0, specular=0.8, metallic=1.0),)),
        grey,
        key_visibility,
        appearance,
    )
    torch.testing.assert_close(unseen, radiance(fragments, grey, key_visibility, appearance))


def test_metal_reflects_environment_in_its_colour(appearance):
    fragments, key_visibility = surface(), torch.ones(COUNT)
    plain = appearance._replace(
        key=appearance.key.mean(1, keepdim=True).expand(-1, 3),
        fill=appearance.fill.mean(1, keepdim=True).expand(-1, 3),
        ambient=appearance.ambient.mean(1, keepdim=True).expand(-1, 3),
    )
    metallic = fragments._replace(coats=(coat(torch.arange(COUNT), metallic=1.0),))
    gold = torch.tensor([0.9, 0.6, 0.2])[:, None].expand(3, COUNT)
    light = radiance(metallic, gold, key_visibility, plain)
    ratio = light / light[:1]
    torch.testing.assert_close(ratio[:, 0], gold[:, 0] / gold[0, 0])
    torch.testing.assert_close(ratio, ratio[:, :1].expand(-1, COUNT), rtol=1e-3, atol=1e-4)
    assert light[0].quantile(0.9) > 2 * light[0].quantile(0.1), "bright and dark reflections"


def test_tone_mapping_is_monotonic_and_bounded(appearance):
    fragments = surface()
    light = torch.linspace(0, 20, COUNT).expand(3, -1)
    one = fragments._replace(batch=torch.zeros(COUNT, dtype=torch.int64))
    shown = tone_map(light, one, appearance)
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert (shown.diff(dim=1) >= 0).all()
