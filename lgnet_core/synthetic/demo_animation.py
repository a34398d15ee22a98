"""The script of the demo clip, drawn at any rate: two hands before a fixed camera wave, pray, cross, point, part.

Key poses are written out below; between them finger angles, orientations and places move smoothly; where the hands
would overlap they are moved apart. The renderer of the training images draws the frames.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
import roma
import torch
from torch import Tensor

from lgnet_core.data.clip import Clip
from lgnet_core.geometry.camera import project
from lgnet_core.hand_model import load_hand_model
from lgnet_core.hand_model.anatomy import THUMB, preset
from lgnet_core.synthetic.random import Draws
from lgnet_core.synthetic.render.renderer import Renderer
from lgnet_core.synthetic.render.visibility import hand_presence
from lgnet_core.synthetic.scene.capsules import CapsuleHands
from lgnet_core.synthetic.scene.poses import both_rotations
from lgnet_core.types import MIDDLE_MCP, Camera

_log = logging.getLogger(__name__)

WIDTH, HEIGHT, FOCAL = 640, 480, 560.0
FRAMES_PER_SECOND = 10.0
DISTANCE, CAMERA_HEIGHT, PITCH = 0.46, 0.06, 0.16  # metres, metres, radians downwards
SEED = 20_000_003  # no training or test set uses it
APPEARANCE = 15  # the bundled clip's

UP, AHEAD, RIGHT = (0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0)  # of the person: x right, y up, z backwards


class Key(NamedTuple):
    """One hand at one moment: finger pose, where the fingers point and the palm faces, place of the middle knuckle.

    Written for the right hand in the person's frame; the left hand's mirror image has x negated.
    """

    pose: str
    fingers: tuple[float, float, float]
    palm: tuple[float, float, float]
    place: tuple[float, float, float]


WAVE = Key("spread", (0.15, 1, 0), AHEAD, (0.13, 0.02, 0))
OPEN = Key("open", (-0.1, 1, 0), AHEAD, (0.12, 0.02, 0))
FACING = Key("open", (-0.1, 0.95, -0.4), (-1, 0, -0.35), (0.075, 0, 0))
TOUCHING = Key("praying", (0.0, 0.95, -0.3), (-1, 0, -0.1), (0.010, 0, 0))
CROSSED_RIGHT = Key("open", (-0.75, 0.65, 0), (0, 0.1, 1), (0.0, 0.005, -0.05))
CROSSED_LEFT = Key("open", (-0.6, 0.8, 0), (0, 0.1, 1), (0.0, -0.01, 0.02))
SHOWN = Key("open", (-0.55, 0.8, -0.1), (-0.1, 0.1, -1), (0.075, -0.01, 0.03))
POINTING = Key("point", (-0.9, 0.25, 0.1), (-0.2, -0.8, -0.5), (0.105, 0.02, -0.04))
PINCHING = Key("pinch", (-0.6, 0.7, -0.4), (-0.7, -0.5, -0.5), (0.09, 0.02, -0.02))
FIST = Key("fist", (-0.3, 0.8, -0.5), (-0.8, -0.2, -0.4), (0.10, 0.02, 0))
GONE = Key("relaxed", (0, 0.8, -0.6), AHEAD, (0.2, -0.55, 0))

SCRIPT: list[tuple[int, Key, Key]] = [  # frame, right hand, left hand
    (0, OPEN, OPEN),
    (3, WAVE, WAVE),
    (6, OPEN, OPEN),
    (10, FACING, FACING),
    (14, TOUCHING, TOUCHING),
    (17, FACING, FACING),
    (20, CROSSED_RIGHT, CROSSED_LEFT),
    (22, CROSSED_RIGHT, CROSSED_LEFT),
    (26, POINTING, SHOWN),
    (30, PINCHING, SHOWN),
    (33, FIST, FIST),
    (37, WAVE, GONE),
    (39, OPEN, GONE),
]


def frame_of(key: Key) -> Tensor:
    """(3, 3) columns: x towards the fingers, y = z x x, z out of the palm; person's frame."""
    x = torch.nn.functional.normalize(torch.tensor(key.fingers, dtype=torch.float32), dim=0)
    z = torch.tensor(key.palm, dtype=torch.float32)
    z = torch.nn.functional.normalize(z - (z @ x) * x, dim=0)
    return torch.stack([x, torch.linalg.cross(z, x), z], 1)


def mirrored(key: Key) -> Key:
    """The same for the left hand."""
    flipped = [(-v[0], v[1], v[2]) for v in (key.fingers, key.palm, key.place)]
    return Key(key.pose, *flipped)


def finger_angles(pose: str) -> Tensor:
    """(16, 3) radians of a preset; ``praying`` is flat with the thumb beside the index finger."""
    if pose != "praying":
        return preset(pose)
    angles = preset("flat")
    angles[THUMB] = torch.deg2rad(torch.tensor([-16.0, -28.0, 0.0]))
    return angles


def animate(step: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Angles (T, 2, 16, 3), frames (T, 2, 3, 3) and middle knuckles (T, 2, 3), every ``step`` frames of the script."""
    times = [row[0] for row in SCRIPT]
    keys = [(row[1], mirrored(row[2])) for row in SCRIPT]
    angles = torch.stack([torch.stack([finger_angles(key.pose) for key in pair]) for pair in keys])
    frames = torch.stack([torch.stack([frame_of(key) for key in pair]) for pair in keys])
    places = torch.stack([torch.tensor([key.place for key in pair]) for pair in keys])
    out: list[list[Tensor]] = [[], [], []]
    for t in np.arange(0, times[-1] + step / 2, step):
        k = min(int(np.searchsorted(times, t, side="right")) - 1, len(times) - 2)
        share = (t - times[k]) / (times[k + 1] - times[k])
        eased = 0.5 - 0.5 * np.cos(np.pi * share)
        out[0].append(torch.lerp(angles[k], angles[k + 1], eased))
        turn = roma.rotmat_to_rotvec(frames[k].transpose(-1, -2) @ frames[k + 1])
        out[1].append(frames[k] @ roma.rotvec_to_rotmat(turn * eased))
        out[2].append(torch.lerp(places[k], places[k + 1], eased))
    return torch.stack(out[0]), torch.stack(out[1]), torch.stack(out[2])


def draw_clip(appearance: int = APPEARANCE, frames_per_second: float = FRAMES_PER_SECOND) -> Clip:
    """Render the script.

    Args:
        appearance: number of the skin, light, sleeves and background.
    """
    model = load_hand_model()
    capsules = CapsuleHands(model)
    angles, frames, places = animate(FRAMES_PER_SECOND / frames_per_second)
    count = len(angles)
    root = frames @ capsules.frames.transpose(-1, -2)
    shape = torch.zeros(count, 2, 10)

    rotations = both_rotations(angles, root)
    posed = capsules.pose(rotations, shape)
    wrist = places - posed.points[:, :, MIDDLE_MCP]
    away = torch.nn.functional.normalize(places[:, 1] - places[:, 0], dim=-1)
    for _ in range(12):  # hands that overlap leave each other, each by half
        clearance = capsules.pair_clearance(posed.moved(wrist[:, 1] - wrist[:, 0])).flatten(1).amin(1)
        step = (-clearance).clamp_min(0)[:, None] * away / 2
        wrist = wrist + torch.stack([-step, step], 1)
    _log.info(
        "deepest overlap left %.1f mm, nearest contact %.1f mm", -1000 * clearance.min(), 1000 * clearance.abs().min()
    )

    mesh = model(rotations, shape).wrist_relative()
    cos, sin = np.cos(PITCH), np.sin(PITCH)
    camera_turn = torch.tensor([[1, 0, 0], [0, cos, -sin], [0, sin, cos]], dtype=torch.float32)
    camera_turn = camera_turn @ torch.diag(torch.tensor([-1.0, -1.0, 1.0]))  # the camera faces the person
    eye = torch.tensor([0.0, CAMERA_HEIGHT, -DISTANCE])
    vertices = (mesh.vertices + wrist[:, :, None] - eye) @ camera_turn.T
    joints = (mesh.joints + wrist[:, :, None] - eye) @ camera_turn.T

    matrix = torch.tensor([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]])
    intrinsics = matrix.expand(count, 3, 3)
    renderer = Renderer(model)
    images, presence = [], []
    for part in torch.arange(count).split(6):
        drawn = torch.ones(len(part), 2, dtype=torch.bool)
        draws = Draws(SEED, torch.full((len(part),), appearance))
        rendered = renderer.render(vertices[part], drawn, intrinsics[part], HEIGHT, WIDTH, draws)
        images += list((rendered.image * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())
        pixels = project(joints[part], intrinsics[part][:, None])
        presence.append(hand_presence(drawn, pixels, rendered.segmentation))
    return Clip(
        frames=images,
        camera=Camera(matrix.double().numpy(), WIDTH, HEIGHT),
        joints=joints.double().numpy(),
        presence=torch.cat(presence).numpy(),
        frames_per_second=frames_per_second,
    )
