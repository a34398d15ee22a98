"""Objects in the scene: held objects, foreground occluders, and background solids.

Held objects are placed in the hollow of a hand. Their radius is limited by the clearance to the capsules of both hands,
so that they touch a hand without penetrating it. Background solids (a table, boxes, cylinders, balls, head and body of
another person) are always behind the hands and are rendered as part of the background.
"""

from __future__ import annotations

import math

import roma
import torch
from torch import Tensor
from torch.nn.functional import normalize

from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.capsules import Capsules, segment_parameters
from lgnet_core.synthetic.scene.interactions import sample_holding
from lgnet_core.synthetic.scene.solids import Primitive, Solids

OCCLUDER_PROBABILITY = 0.12
"""Fraction of images with an occluder in front of the hands."""
BACKGROUND_SOLIDS_PROBABILITY = 0.45
"""Fraction of images with solids behind the hands."""
TABLE_PROBABILITY, PERSON_PROBABILITY = 0.5, 0.2
"""Fractions of these images with a table and with another person."""

_CANDIDATES = 24  # sampled positions of a held object
_MIN_GAP = 5e-4  # metres between a held object and the nearest capsule
_MIN_RADIUS = 0.004  # metres; hands with less clearance hold nothing
_BACKGROUND_OBJECTS = 3  # besides table and person


def held_objects(rng: CounterRng, capsules: Capsules, frame: Tensor, presence: Tensor, kind: Tensor) -> Solids:
    """Boxes, cylinders and ellipsoids held in the hollow of each hand, if any.

    Args:
        capsules: capsules of both hands, camera frame.
        frame: (B, 2, 3, 3) hand axes as columns (x towards the fingers, z out of the palm), camera frame.
        presence: (B, 2) bool; kind: (B,) :class:`~lgnet_core.synthetic.scene.interactions.SceneKind`.

    Returns:
        Two solids per image, for the right and the left hand.
    """
    device = rng.device
    primitive = rng.choice("held/form", [0.25, 0.45, 0.3], 2)
    direction = rng.choice("held/way", [0.15, 0.6, 0.25], 2)  # along the fingers, across the palm, out of it
    jitter = roma.rotvec_to_rotmat(rng.normal("held/jitter", 2, 3, std=math.radians(15)))
    # Columns: hand axes, permuted so that the long axis of the object is last.
    order = torch.tensor([[1, 2, 0], [2, 0, 1], [0, 1, 2]], device=device)[direction]  # (B, 2, 3)
    axes = frame @ jitter
    axes = axes.gather(-1, order[..., None, :].expand(-1, -1, 3, -1))
    half_length = torch.exp(rng.uniform("held/long", 2, low=math.log(0.02), high=math.log(0.13)))
    half_length = torch.where(primitive == Primitive.ELLIPSOID, 0.0, half_length)
    max_radius = torch.exp(rng.uniform("held/radius", 2, low=math.log(0.007), high=math.log(0.05)))

    palm = (capsules.points[:, :, 9] - capsules.points[:, :, 0]).norm(dim=-1)  # wrist to middle knuckle
    forward = rng.uniform("held/forward", 2, _CANDIDATES, low=0.5, high=1.5) * palm[..., None]
    aside = rng.uniform("held/aside", 2, _CANDIDATES, low=-0.02, high=0.02)
    out = rng.uniform("held/out", 2, _CANDIDATES, low=0.01, high=0.065)
    centre = torch.stack([forward, aside, out], -1) @ frame.transpose(-1, -2) + capsules.points[:, :, :1]

    clearance = _clearance(centre, axes[..., 2], half_length, capsules, presence)  # (B, 2, K)
    best = (clearance - max_radius[..., None]).abs().argmin(-1, keepdim=True)
    radius = torch.minimum(clearance.gather(-1, best)[..., 0], max_radius) - _MIN_GAP
    centre = centre.gather(2, best[..., None].expand(-1, -1, 1, 3))[:, :, 0]
    present = sample_holding(rng, kind) & presence & (radius > _MIN_RADIUS)
    radius = radius.clamp_min(_MIN_RADIUS)
    flattening = rng.uniform("held/slim", 2, 2, low=0.6, high=1.0)
    half_extents = torch.where(
        (primitive == Primitive.ELLIPSOID)[..., None],
        radius[..., None] * torch.cat([torch.ones_like(flattening[..., :1]), flattening], -1),
        torch.stack([radius, radius, half_length], -1),
    )
    # Inscribe the cross-section of boxes in the circle of this radius.
    inscribed = torch.where(primitive == Primitive.BOX, math.sqrt(0.5), 1.0)
    half_extents = torch.cat([half_extents[..., :2] * inscribed[..., None], half_extents[..., 2:]], -1)
    return Solids(primitive, present, centre, axes, half_extents)


def _clearance(centre: Tensor, axis: Tensor, half_length: Tensor, capsules: Capsules, presence: Tensor) -> Tensor:
    """Distance (B, 2, K) from segments of ``half_length`` around each candidate to the nearest capsule, metres."""
    half = (axis * half_length[..., None])[:, :, None, None]  # (B, 2, 1, 1, 3)
    first, last = centre[:, :, :, None] - half, centre[:, :, :, None] + half  # (B, 2, K, 1, 3)
    start, end = (x.flatten(1, 2)[:, None, None] for x in (capsules.start, capsules.end))  # (B, 1, 1, 2 C, 3)
    s, t = segment_parameters(first, last, start, end)
    between = first + s[..., None] * (last - first) - start - t[..., None] * (end - start)
    distance = between.norm(dim=-1) - capsules.radii.flatten(1)[:, None, None]
    absent = ~presence.repeat_interleave(capsules.radii.shape[2], 1)[:, None, None]
    return distance.masked_fill(absent, torch.inf).amin(-1)


def foreground_occluders(rng: CounterRng, joints: Tensor, presence: Tensor) -> Solids:
    """At most one occluder per image, on the line of sight to a random joint and nearer than both hands.

    Images without hands use the positions that the hands would have.

    Shapes:
        joints: (B, 2, 21, 3) camera frame, metres; presence: (B, 2) bool.
    """
    device = rng.device
    rows = torch.arange(len(rng), device=device)
    shown = presence | ~presence.any(1, keepdim=True)
    hand = (rng.uniform("front/hand", 2) * shown).argmax(1)
    target = joints[rows, hand, rng.choice("front/joint", [1.0] * 21)]
    nearest = torch.where(shown, joints[..., 2].amin(2), torch.inf).amin(1)
    depth = nearest * rng.uniform("front/depth", low=0.5, high=0.8)
    aside = rng.normal("front/aside", 3, std=0.05) * depth[:, None]
    centre = target * (depth / target[:, 2].clamp_min(0.05))[:, None] + aside * aside.new_tensor([1.0, 1.0, 0.0])
    half_extents = depth[:, None] * torch.exp(rng.uniform("front/size", 3, low=math.log(0.01), high=math.log(0.12)))
    # Limit the size so that the occluder cannot reach the hands.
    half_extents = torch.minimum(half_extents, 0.25 * (nearest - depth)[:, None])
    present = rng.bernoulli("front/there", OCCLUDER_PROBABILITY) & (depth > 0.1)
    primitive = rng.choice("front/form", [0.4, 0.4, 0.2], 1)
    return Solids(primitive, present[:, None], centre[:, None], rng.rotation("front/axes", 1), half_extents[:, None])


def background_solids(rng: CounterRng, intrinsics: Tensor, height: int, width: int, distance: Tensor) -> Solids:
    """Table, objects and another person behind the hands; body and head of the person are the last two solids.

    Args:
        intrinsics: (B, 3, 3) intrinsics of the images; objects are distributed over the field of view.
        distance: (B,) depth of the hands, metres.
    """
    device = rng.device
    enabled = rng.bernoulli("behind/furnished", BACKGROUND_SOLIDS_PROBABILITY)[:, None]
    count = _BACKGROUND_OBJECTS + 1  # and the head
    position = rng.uniform("behind/place", count, 2, low=-0.15, high=1.15) * torch.tensor(
        [width, height], device=device
    )
    depth = distance[:, None] + torch.exp(rng.uniform("behind/depth", count, low=math.log(0.1), high=math.log(2.0)))
    pixels = torch.cat([position, torch.ones_like(position[..., :1])], -1)
    centre = (pixels @ torch.linalg.inv(intrinsics).transpose(1, 2)) * depth[..., None]
    visible_width = width / intrinsics[:, :1, 0] * depth[:, :_BACKGROUND_OBJECTS]  # metres at that depth
    size = torch.exp(rng.uniform("behind/size", _BACKGROUND_OBJECTS, 3, low=math.log(0.04), high=math.log(0.4)))
    primitive = rng.choice("behind/form", [0.5, 0.3, 0.2], _BACKGROUND_OBJECTS)
    present = enabled & rng.bernoulli("behind/there", 0.7, _BACKGROUND_OBJECTS)
    # Most objects are upright; y of the camera points down.
    upright = _upright(rng, "behind/turn", _BACKGROUND_OBJECTS)
    tilted = rng.bernoulli("behind/loose", 0.3, _BACKGROUND_OBJECTS)[..., None, None]
    objects = Solids(
        primitive,
        present,
        centre[:, :_BACKGROUND_OBJECTS],
        torch.where(tilted, rng.rotation("behind/axes", _BACKGROUND_OBJECTS), upright),
        size * visible_width[..., None],
    )

    table_axes = _upright(rng, "table/turn", 1)
    below = rng.uniform("table/below", 1, low=0.08, high=0.45)
    table = Solids(
        torch.zeros(len(rng), 1, dtype=torch.int64, device=device),
        enabled & rng.bernoulli("table/there", TABLE_PROBABILITY, 1),
        torch.stack([torch.zeros_like(below), below, distance[:, None] + 1.0], -1),
        table_axes,
        torch.tensor([1.6, 1.2, 0.02], device=device).expand(len(rng), 1, 3),
    )

    head = centre[:, _BACKGROUND_OBJECTS]
    body = head + torch.tensor([0.0, 0.38, 0.04], device=device)
    person = Solids(
        torch.full((len(rng), 2), int(Primitive.ELLIPSOID), device=device),
        (enabled & rng.bernoulli("person/there", PERSON_PROBABILITY, 1)).expand(-1, 2),
        torch.stack([body, head], 1),
        _upright(rng, "person/turn", 1).expand(-1, 2, -1, -1),
        torch.tensor([[0.21, 0.12, 0.27], [0.075, 0.095, 0.115]], device=device).expand(len(rng), 2, 3),
    )
    return Solids.concatenate(table, objects, person)


def _upright(rng: CounterRng, name: str, count: int) -> Tensor:
    """Axes (B, count, 3, 3): the third points approximately up in the image, the second preferably to the camera."""
    up = torch.tensor([0.0, -1.0, 0.0], device=rng.device) + rng.normal(f"{name}/lean", 1, 3, std=0.25)
    up = normalize(up, dim=-1).expand(-1, count, -1)
    towards = rng.normal(name, count, 3) + torch.tensor([0.0, 0.0, -1.0], device=rng.device)
    across = normalize(torch.linalg.cross(towards, up), dim=-1)
    return torch.stack([across, torch.linalg.cross(up, across), up], -1)
