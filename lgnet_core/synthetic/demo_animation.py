"""Keyframe animation of the demo clip: two hands in front of a fixed camera wave, pray, cross, point and separate.

Finger angles, orientations and positions are interpolated between the keyframes below, at any frame rate; penetrating
hands are pushed apart. Frames are rendered with the renderer of the training images.
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
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.hand_model.anatomy import THUMB
from lgnet_core.hand_model.finger_poses import preset
from lgnet_core.synthetic.render.renderer import Renderer
from lgnet_core.synthetic.render.visibility import hand_presence
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.capsules import CapsuleHandModel
from lgnet_core.synthetic.scene.poses import joint_rotations
from lgnet_core.types import MIDDLE_MCP, Camera, FloatArray

_log = logging.getLogger(__name__)

WIDTH, HEIGHT, FOCAL = 640, 480, 560.0  # pixels
FRAMES_PER_SECOND = 10.0
CAMERA_DISTANCE, CAMERA_HEIGHT, CAMERA_PITCH = 0.46, 0.06, 0.16  # metres, metres, radians downwards
SEED = 20_000_003  # used by no training or test set
APPEARANCE = 15  # image index that selects skin, light, sleeves and background of the bundled clip

FORWARD = (0.0, 0.0, -1.0)  # person frame: x right, y up, z backwards
_SEPARATION_STEPS = 12
_BATCH_SIZE = 6


class Keyframe(NamedTuple):
    """Pose of one hand: finger preset, finger direction, palm normal and position of the middle knuckle, metres.

    Defined for the right hand in the person frame; left hands are mirrored, x negated.
    """

    pose: str
    finger_direction: tuple[float, float, float]
    palm_normal: tuple[float, float, float]
    position: tuple[float, float, float]


WAVE = Keyframe("spread", (0.15, 1, 0), FORWARD, (0.13, 0.02, 0))
OPEN = Keyframe("open", (-0.1, 1, 0), FORWARD, (0.12, 0.02, 0))
FACING = Keyframe("open", (-0.1, 0.95, -0.4), (-1, 0, -0.35), (0.075, 0, 0))
TOUCHING = Keyframe("praying", (0.0, 0.95, -0.3), (-1, 0, -0.1), (0.010, 0, 0))
CROSSED_RIGHT = Keyframe("open", (-0.75, 0.65, 0), (0, 0.1, 1), (0.0, 0.005, -0.05))
CROSSED_LEFT = Keyframe("open", (-0.6, 0.8, 0), (0, 0.1, 1), (0.0, -0.01, 0.02))
PRESENTING = Keyframe("open", (-0.55, 0.8, -0.1), (-0.1, 0.1, -1), (0.075, -0.01, 0.03))
POINTING = Keyframe("point", (-0.9, 0.25, 0.1), (-0.2, -0.8, -0.5), (0.105, 0.02, -0.04))
PINCHING = Keyframe("pinch", (-0.6, 0.7, -0.4), (-0.7, -0.5, -0.5), (0.09, 0.02, -0.02))
FIST = Keyframe("fist", (-0.3, 0.8, -0.5), (-0.8, -0.2, -0.4), (0.10, 0.02, 0))
OUT_OF_VIEW = Keyframe("relaxed", (0, 0.8, -0.6), FORWARD, (0.2, -0.55, 0))

KEYFRAMES: list[tuple[int, Keyframe, Keyframe]] = [  # frame number, right hand, left hand
    (0, OPEN, OPEN),
    (3, WAVE, WAVE),
    (6, OPEN, OPEN),
    (10, FACING, FACING),
    (14, TOUCHING, TOUCHING),
    (17, FACING, FACING),
    (20, CROSSED_RIGHT, CROSSED_LEFT),
    (22, CROSSED_RIGHT, CROSSED_LEFT),
    (26, POINTING, PRESENTING),
    (30, PINCHING, PRESENTING),
    (33, FIST, FIST),
    (37, WAVE, OUT_OF_VIEW),
    (39, OPEN, OUT_OF_VIEW),
]


def hand_axes_of(keyframe: Keyframe) -> Tensor:
    """Hand axes (3, 3) in the person frame as columns: x towards the fingers, y = z x x, z out of the palm."""
    x = torch.nn.functional.normalize(torch.tensor(keyframe.finger_direction, dtype=torch.float32), dim=0)
    z = torch.tensor(keyframe.palm_normal, dtype=torch.float32)
    z = torch.nn.functional.normalize(z - (z @ x) * x, dim=0)
    return torch.stack([x, torch.linalg.cross(z, x), z], 1)


def mirrored(keyframe: Keyframe) -> Keyframe:
    """Keyframe of a left hand with the mirrored pose."""
    flipped = [(-v[0], v[1], v[2]) for v in (keyframe.finger_direction, keyframe.palm_normal, keyframe.position)]
    return Keyframe(keyframe.pose, *flipped)


def finger_angles(pose: str) -> Tensor:
    """Joint angles (16, 3) of a preset, radians; ``praying`` is flat with the thumb alongside the index finger."""
    if pose != "praying":
        return preset(pose)
    angles = preset("flat")
    angles[THUMB] = torch.deg2rad(torch.tensor([-16.0, -28.0, 0.0]))
    return angles


def interpolate_keyframes(step: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Joint angles (T, 2, 16, 3), hand axes (T, 2, 3, 3) and middle knuckles (T, 2, 3), every ``step`` frames."""
    times = [row[0] for row in KEYFRAMES]
    keyframes = [(row[1], mirrored(row[2])) for row in KEYFRAMES]
    angles = torch.stack([torch.stack([finger_angles(keyframe.pose) for keyframe in pair]) for pair in keyframes])
    axes = torch.stack([torch.stack([hand_axes_of(keyframe) for keyframe in pair]) for pair in keyframes])
    positions = torch.stack([torch.tensor([keyframe.position for keyframe in pair]) for pair in keyframes])
    out: list[list[Tensor]] = [[], [], []]
    for t in np.arange(0, times[-1] + step / 2, step):
        k = min(int(np.searchsorted(times, t, side="right")) - 1, len(times) - 2)
        fraction = (t - times[k]) / (times[k + 1] - times[k])
        eased = 0.5 - 0.5 * np.cos(np.pi * fraction)
        out[0].append(torch.lerp(angles[k], angles[k + 1], eased))
        rotvec = roma.rotmat_to_rotvec(axes[k].transpose(-1, -2) @ axes[k + 1])
        out[1].append(axes[k] @ roma.rotvec_to_rotmat(rotvec * eased))
        out[2].append(torch.lerp(positions[k], positions[k + 1], eased))
    return torch.stack(out[0]), torch.stack(out[1]), torch.stack(out[2])


def render_clip(appearance: int = APPEARANCE, frames_per_second: float = FRAMES_PER_SECOND) -> Clip:
    """Render the animation.

    Args:
        appearance: image index that selects skin, light, sleeves and background.
    """
    return render_depth_clip(appearance, frames_per_second)[0]


def render_depth_clip(
    appearance: int = APPEARANCE, frames_per_second: float = FRAMES_PER_SECOND
) -> tuple[Clip, list[FloatArray]]:
    """Render the animation as :func:`render_clip`, and the exact depth of each frame.

    Returns:
        The clip, and (HEIGHT, WIDTH) metres per frame, 0 where the background is.
    """
    model = load_hand_layer()
    capsules = CapsuleHandModel(model)
    angles, axes, positions = interpolate_keyframes(FRAMES_PER_SECOND / frames_per_second)
    count = len(angles)
    root = axes @ capsules.frames.transpose(-1, -2)
    shape = torch.zeros(count, 2, 10)

    rotations = joint_rotations(angles, root)
    posed = capsules.pose(rotations, shape)
    wrist = positions - posed.points[:, :, MIDDLE_MCP]
    separation_direction = torch.nn.functional.normalize(positions[:, 1] - positions[:, 0], dim=-1)
    for _ in range(_SEPARATION_STEPS):  # push penetrating hands apart, each by half of the depth
        clearance = capsules.pair_clearance(posed.translate_left(wrist[:, 1] - wrist[:, 0])).flatten(1).amin(1)
        step = (-clearance).clamp_min(0)[:, None] * separation_direction / 2
        wrist = wrist + torch.stack([-step, step], 1)
    _log.info(
        "maximum remaining penetration %.1f mm, minimum gap %.1f mm",
        -1000 * clearance.min(),
        1000 * clearance.abs().min(),
    )

    mesh = model(rotations, shape).wrist_relative()
    cos, sin = np.cos(CAMERA_PITCH), np.sin(CAMERA_PITCH)
    camera_rotation = torch.tensor([[1, 0, 0], [0, cos, -sin], [0, sin, cos]], dtype=torch.float32)
    camera_rotation = camera_rotation @ torch.diag(torch.tensor([-1.0, -1.0, 1.0]))  # facing the person
    camera_position = torch.tensor([0.0, CAMERA_HEIGHT, -CAMERA_DISTANCE])
    vertices = (mesh.vertices + wrist[:, :, None] - camera_position) @ camera_rotation.T
    joints = (mesh.joints + wrist[:, :, None] - camera_position) @ camera_rotation.T

    matrix = torch.tensor([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]])
    intrinsics = matrix.expand(count, 3, 3)
    renderer = Renderer(model)
    images, depths, presence = [], [], []
    for part in torch.arange(count).split(_BATCH_SIZE):
        both_hands = torch.ones(len(part), 2, dtype=torch.bool)
        rng = CounterRng(SEED, torch.full((len(part),), appearance))
        rendered = renderer.render(vertices[part], both_hands, intrinsics[part], HEIGHT, WIDTH, rng)
        images += list((rendered.image * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())
        depths += list(rendered.depth.numpy())
        pixels = project(joints[part], intrinsics[part][:, None])
        presence.append(hand_presence(both_hands, pixels, rendered.segmentation))
    clip = Clip(
        frames=images,
        camera=Camera(matrix.double().numpy(), WIDTH, HEIGHT),
        joints=joints.double().numpy(),
        presence=torch.cat(presence).numpy(),
        frames_per_second=frames_per_second,
    )
    return clip, depths
