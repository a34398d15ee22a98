"""What else is in an image: things that hands hold, things in front of them, and a scene of solids behind them.

Held things fill a hollow of the hand: their radius is what the capsules of both hands leave of the wanted one, so they
touch a hand and lie in none. A table, boxes, tins, balls, another person's head, body and arms stand behind the hands,
wherever they are in depth: they are painted onto the background.
"""

from __future__ import annotations

import math

import roma
import torch
from torch import Tensor
from torch.nn.functional import normalize

from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.scene.capsules import Capsules, segment_parameters
from lgnet_core.synthetic.scene.interactions import draw_held
from lgnet_core.synthetic.scene.solids import Form, Solids

OCCLUDED = 0.12
"""Share of images with a thing in front of the hands."""
FURNISHED = 0.45
"""Share of images with solids behind the hands; of these TABLES have a table, PERSONS another person."""
TABLES, PERSONS = 0.5, 0.2

_CANDIDATES = 24  # places that are tried for a held thing
_SLACK = 5e-4  # metres between a held thing and the capsule that limits it
_THINNEST = 0.004  # metres: what leaves less room is not held
_THINGS = 3  # behind the hands, besides table and person


def held_things(draws: Draws, capsules: Capsules, frame: Tensor, presence: Tensor, kind: Tensor) -> Solids:
    """For each hand the thing that it holds, if it holds one: a rod, a box or a ball in its hollow.

    Args:
        capsules: of both hands, in place, camera frame.
        frame: (B, 2, 3, 3) the hands' axes as columns (x to the fingers, z out of the palm), camera frame.
        presence: (B, 2) bool; kind: (B,) :class:`~lgnet_core.synthetic.scene.interactions.Kind`.

    Returns:
        two solids an image, the right hand's and the left hand's.
    """
    device = draws.device
    form = draws.choice("held/form", [0.25, 0.45, 0.3], 2)
    way = draws.choice("held/way", [0.15, 0.6, 0.25], 2)  # along the fingers, across the palm, out of it
    jitter = roma.rotvec_to_rotmat(draws.normal("held/jitter", 2, 3, std=math.radians(15)))
    # Columns: the hand's axes, rotated so that the long one comes last.
    order = torch.tensor([[1, 2, 0], [2, 0, 1], [0, 1, 2]], device=device)[way]  # (B, 2, 3)
    axes = frame @ jitter
    axes = axes.gather(-1, order[..., None, :].expand(-1, -1, 3, -1))
    long = torch.exp(draws.uniform("held/long", 2, low=math.log(0.02), high=math.log(0.13)))
    long = torch.where(form == Form.ELLIPSOID, 0.0, long)
    wanted = torch.exp(draws.uniform("held/radius", 2, low=math.log(0.007), high=math.log(0.05)))

    palm = (capsules.points[:, :, 9] - capsules.points[:, :, 0]).norm(dim=-1)  # wrist to middle knuckle
    forward = draws.uniform("held/forward", 2, _CANDIDATES, low=0.5, high=1.5) * palm[..., None]
    aside = draws.uniform("held/aside", 2, _CANDIDATES, low=-0.02, high=0.02)
    out = draws.uniform("held/out", 2, _CANDIDATES, low=0.01, high=0.065)
    centre = torch.stack([forward, aside, out], -1) @ frame.transpose(-1, -2) + capsules.points[:, :, :1]

    room = _clearance(centre, axes[..., 2], long, capsules, presence)  # (B, 2, K)
    best = (room - wanted[..., None]).abs().argmin(-1, keepdim=True)
    radius = torch.minimum(room.gather(-1, best)[..., 0], wanted) - _SLACK
    centre = centre.gather(2, best[..., None].expand(-1, -1, 1, 3))[:, :, 0]
    there = draw_held(draws, kind) & presence & (radius > _THINNEST)
    radius = radius.clamp_min(_THINNEST)
    slim = draws.uniform("held/slim", 2, 2, low=0.6, high=1.0)
    half = torch.where(
        (form == Form.ELLIPSOID)[..., None],
        radius[..., None] * torch.cat([torch.ones_like(slim[..., :1]), slim], -1),
        torch.stack([radius, radius, long], -1),
    )
    # The edges of a box lie further out than its faces.
    narrow = torch.where(form == Form.BOX, math.sqrt(0.5), 1.0)
    half = torch.cat([half[..., :2] * narrow[..., None], half[..., 2:]], -1)
    return Solids(form, there, centre, axes, half)


def _clearance(centre: Tensor, axis: Tensor, long: Tensor, capsules: Capsules, presence: Tensor) -> Tensor:
    """Metres (B, 2, K) that all capsules leave around segments of half-length ``long`` about each candidate."""
    reach = (axis * long[..., None])[:, :, None, None]  # (B, 2, 1, 1, 3)
    first, last = centre[:, :, :, None] - reach, centre[:, :, :, None] + reach  # (B, 2, K, 1, 3)
    start, end = (x.flatten(1, 2)[:, None, None] for x in (capsules.start, capsules.end))  # (B, 1, 1, 2 C, 3)
    s, t = segment_parameters(first, last, start, end)
    between = first + s[..., None] * (last - first) - start - t[..., None] * (end - start)
    distance = between.norm(dim=-1) - capsules.radii.flatten(1)[:, None, None]
    absent = ~presence.repeat_interleave(capsules.radii.shape[2], 1)[:, None, None]
    return distance.masked_fill(absent, torch.inf).amin(-1)


def things_in_front(draws: Draws, joints: Tensor, presence: Tensor) -> Solids:
    """One thing between the camera and some joint, in some images; nearer than all of the hands.

    Where there are no hands, it is where they would be.

    Shapes:
        joints: (B, 2, 21, 3) camera frame, metres; presence: (B, 2) bool.
    """
    device = draws.device
    rows = torch.arange(len(draws), device=device)
    shown = presence | ~presence.any(1, keepdim=True)
    hand = (draws.uniform("front/hand", 2) * shown).argmax(1)
    target = joints[rows, hand, draws.choice("front/joint", [1.0] * 21)]
    nearest = torch.where(shown, joints[..., 2].amin(2), torch.inf).amin(1)
    depth = nearest * draws.uniform("front/depth", low=0.5, high=0.8)
    aside = draws.normal("front/aside", 3, std=0.05) * depth[:, None]
    centre = target * (depth / target[:, 2].clamp_min(0.05))[:, None] + aside * aside.new_tensor([1.0, 1.0, 0.0])
    half = depth[:, None] * torch.exp(draws.uniform("front/size", 3, low=math.log(0.01), high=math.log(0.12)))
    # A thing as long as the way to the hands would reach into them.
    half = torch.minimum(half, 0.25 * (nearest - depth)[:, None])
    there = draws.bernoulli("front/there", OCCLUDED) & (depth > 0.1)
    form = draws.choice("front/form", [0.4, 0.4, 0.2], 1)
    return Solids(form, there[:, None], centre[:, None], draws.rotation("front/axes", 1), half[:, None])


def things_behind(draws: Draws, intrinsics: Tensor, height: int, width: int, distance: Tensor) -> Solids:
    """A table, things and another person behind the hands; the person's body and head come last.

    Args:
        intrinsics: (B, 3, 3) of the images; things are spread over what they show.
        distance: (B,) metres to the hands.
    """
    device = draws.device
    furnished = draws.bernoulli("behind/furnished", FURNISHED)[:, None]
    count = _THINGS + 1  # and a head
    place = draws.uniform("behind/place", count, 2, low=-0.15, high=1.15) * torch.tensor([width, height], device=device)
    depth = distance[:, None] + torch.exp(draws.uniform("behind/depth", count, low=math.log(0.1), high=math.log(2.0)))
    pixels = torch.cat([place, torch.ones_like(place[..., :1])], -1)
    centre = (pixels @ torch.linalg.inv(intrinsics).transpose(1, 2)) * depth[..., None]
    shown = width / intrinsics[:, :1, 0] * depth[:, :_THINGS]  # metres across the image at that depth
    size = torch.exp(draws.uniform("behind/size", _THINGS, 3, low=math.log(0.04), high=math.log(0.4)))
    form = draws.choice("behind/form", [0.5, 0.3, 0.2], _THINGS)
    there = furnished & draws.bernoulli("behind/there", 0.7, _THINGS)
    # Most things stand upright on something; the camera's y points down.
    upright = _upright(draws, "behind/turn", _THINGS)
    loose = draws.bernoulli("behind/loose", 0.3, _THINGS)[..., None, None]
    things = Solids(
        form, there, centre[:, :_THINGS], torch.where(loose, draws.rotation("behind/axes", _THINGS), upright),
        size * shown[..., None],
    )  # fmt: skip

    table_axes = _upright(draws, "table/turn", 1)
    below = draws.uniform("table/below", 1, low=0.08, high=0.45)
    table = Solids(
        torch.zeros(len(draws), 1, dtype=torch.int64, device=device),
        furnished & draws.bernoulli("table/there", TABLES, 1),
        torch.stack([torch.zeros_like(below), below, distance[:, None] + 1.0], -1),
        table_axes,
        torch.tensor([1.6, 1.2, 0.02], device=device).expand(len(draws), 1, 3),
    )

    head = centre[:, _THINGS]
    body = head + torch.tensor([0.0, 0.38, 0.04], device=device)
    person = Solids(
        torch.full((len(draws), 2), int(Form.ELLIPSOID), device=device),
        (furnished & draws.bernoulli("person/there", PERSONS, 1)).expand(-1, 2),
        torch.stack([body, head], 1),
        _upright(draws, "person/turn", 1).expand(-1, 2, -1, -1),
        torch.tensor([[0.21, 0.12, 0.27], [0.075, 0.095, 0.115]], device=device).expand(len(draws), 2, 3),
    )
    return Solids.joined(table, things, person)


def _upright(draws: Draws, name: str, count: int) -> Tensor:
    """(B, count, 3, 3) axes: the third points up in the image, give or take, the second rather to the camera."""
    up = torch.tensor([0.0, -1.0, 0.0], device=draws.device) + draws.normal(f"{name}/lean", 1, 3, std=0.25)
    up = normalize(up, dim=-1).expand(-1, count, -1)
    towards = draws.normal(name, count, 3) + torch.tensor([0.0, 0.0, -1.0], device=draws.device)
    across = normalize(torch.linalg.cross(towards, up), dim=-1)
    return torch.stack([across, torch.linalg.cross(up, across), up], -1)
