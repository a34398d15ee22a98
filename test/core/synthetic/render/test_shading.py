"""Laws of light that the shading keeps, on a made-up surface."""

import pytest
import torch
from torch.nn.functional import normalize

from lgnet_core.synthetic.body.forearm import HEM, SKIN, SLEEVE
from lgnet_core.synthetic.body.skin import NAIL, noise_volume
from lgnet_core.synthetic.body.surface import Coat, Surface, incident_faces, vertex_normals
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.render.shading import albedo, develop, radiance
from lgnet_core.synthetic.scene.appearance import sample_appearance

COUNT, IMAGES = 600, 30


@pytest.fixture(scope="module")
def volume():
    return noise_volume()


@pytest.fixture
def looks():
    return sample_appearance(Draws(1, torch.arange(IMAGES)))


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


def test_shadow_takes_light_away_and_never_all_of_it(looks):
    place = surface()
    grey = torch.full((3, COUNT), 0.5)
    lit, half, dark = (radiance(place, grey, torch.full((COUNT,), x), looks) for x in (1.0, 0.5, 0.0))
    assert (lit >= half - 1e-6).all()
    assert (half >= dark - 1e-6).all()
    assert (dark.sum(0) > 0).all()
    torch.testing.assert_close((lit + dark) / 2, half)  # light adds up


def test_diffuse_light_is_proportional_to_the_reflectance(looks):
    place, lit = surface(), torch.ones(COUNT)
    black, grey, white = (radiance(place, torch.full((3, COUNT), x), lit, looks) for x in (0.0, 0.3, 0.6))
    torch.testing.assert_close(grey - black, (white - black) / 2, rtol=1e-4, atol=1e-5)


def test_facing_the_light_is_brighter(looks):
    grey, lit = torch.full((3, COUNT), 0.5), torch.ones(COUNT)
    looks = looks._replace(gloss=torch.zeros_like(looks.gloss), ambient=torch.zeros_like(looks.ambient))
    looks = looks._replace(fill=torch.zeros_like(looks.fill))
    place = surface()
    towards = looks.key_direction.T.index_select(1, place.batch)
    facing, away = (radiance(place._replace(normal=n), grey, lit, looks) for n in (towards, -towards))
    assert (facing.sum(0) > 0).all()
    assert (away == 0).all()


def test_skin_nails_and_cloth_have_their_own_colours(looks, volume):
    plain = looks._replace(noise_weights=torch.zeros_like(looks.noise_weights), redness=torch.zeros_like(looks.redness))
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


def coat(fragment, opacity=1.0, metal=0.0, colour=(0.2, 0.3, 0.4), gloss=0.1, sharpness=20.0):
    count = len(fragment)
    numbers = (torch.full((count,), value) for value in (opacity, gloss, sharpness, metal))
    opacities, glosses, sharpnesses, metals = numbers
    return Coat(fragment, torch.tensor(colour)[:, None].expand(3, count), opacities, glosses, sharpnesses, metals)


def test_coats_cover_their_fragments_alone_the_last_on_top(looks, volume):
    bare, covered = surface(), torch.arange(0, COUNT, 3)
    below, above = coat(covered, colour=(0.9, 0.1, 0.1)), coat(covered[::2], colour=(0.1, 0.1, 0.9))
    before, after = (albedo(s, looks, volume) for s in (bare, bare._replace(coats=(below, above))))
    rest = torch.ones(COUNT, dtype=torch.bool)
    rest[covered] = False
    assert torch.equal(after[:, rest], before[:, rest])
    torch.testing.assert_close(after[:, covered[1::2]], below.colour[:, 1::2])
    torch.testing.assert_close(after[:, covered[::2]], above.colour)
    half = albedo(bare._replace(coats=(below._replace(opacity=below.opacity / 2),)), looks, volume)
    mean, dull = (before[:, covered] + below.colour) / 2, before[:, covered] < 1  # brighter than white is cut off
    torch.testing.assert_close(half[:, covered][dull], mean[dull])


def test_coats_shine_in_their_own_way(looks):
    place, grey, lit = surface(), torch.full((3, COUNT), 0.4), torch.ones(COUNT)
    everything = torch.arange(COUNT)
    matte, glossy = (
        radiance(place._replace(coats=(coat(everything, gloss=g, sharpness=10.0),)), grey, lit, looks)
        for g in (0.0, 0.8)
    )
    assert (glossy >= matte).all()
    assert (glossy > matte + 0.05).any()
    unseen = radiance(place._replace(coats=(coat(everything, opacity=0.0, gloss=0.8, metal=1.0),)), grey, lit, looks)
    torch.testing.assert_close(unseen, radiance(place, grey, lit, looks))


def test_metal_mirrors_its_surroundings_in_its_own_colour(looks):
    place, lit = surface(), torch.ones(COUNT)
    plain = looks._replace(
        key=looks.key.mean(1, keepdim=True).expand(-1, 3),
        fill=looks.fill.mean(1, keepdim=True).expand(-1, 3),
        ambient=looks.ambient.mean(1, keepdim=True).expand(-1, 3),
    )
    metal = place._replace(coats=(coat(torch.arange(COUNT), metal=1.0),))
    gold = torch.tensor([0.9, 0.6, 0.2])[:, None].expand(3, COUNT)
    light = radiance(metal, gold, lit, plain)
    ratio = light / light[:1]
    torch.testing.assert_close(ratio[:, 0], gold[:, 0] / gold[0, 0])
    torch.testing.assert_close(ratio, ratio[:, :1].expand(-1, COUNT), rtol=1e-3, atol=1e-4)
    assert light[0].quantile(0.9) > 2 * light[0].quantile(0.1), "bright and dark places"


def test_developing_keeps_the_order_and_the_range(looks):
    place = surface()
    light = torch.linspace(0, 20, COUNT).expand(3, -1)
    one = place._replace(batch=torch.zeros(COUNT, dtype=torch.int64))
    shown = develop(light, one, looks)
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert (shown.diff(dim=1) >= 0).all()


def test_normals_of_a_sphere_point_outwards():
    axis = torch.linspace(0, torch.pi, 21)
    theta, phi = torch.meshgrid(axis[1:-1], 2 * axis[:-1], indexing="ij")
    ball = torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], -1).view(-1, 3)
    number = torch.arange(len(ball)).view(19, 20)
    a, b, c, d = number[:-1], number[:-1].roll(-1, 1), number[1:], number[1:].roll(-1, 1)
    faces = torch.cat([torch.stack([a, c, b], -1).view(-1, 3), torch.stack([b, c, d], -1).view(-1, 3)])
    normals = vertex_normals(ball[None], faces, incident_faces(faces, len(ball)))[0]
    inner = number[1:-1].flatten()
    assert ((normals * ball).sum(1)[inner] > 0.98).all()
