"""Sampled scenes with their cameras, for tests of viewpoints and crops."""

from typing import NamedTuple

from torch import Tensor

from lgnet_core.hand_model import HandModel
from lgnet_core.synthetic.camera.viewpoints import CameraView, sample_image_sizes, sample_view
from lgnet_core.synthetic.rng import CounterRng
from lgnet_core.synthetic.scene.capsules import CapsuleHandModel
from lgnet_core.synthetic.scene.interactions import Scene, forearm_directions, sample_scene


class SampledViews(NamedTuple):
    """Scenes, their cameras, and vertices (B, 2, 778, 3) and wrists (B, 2, 3) in the camera frame, metres."""

    rng: CounterRng
    scene: Scene
    view: CameraView
    vertices: Tensor
    wrist: Tensor


def sample_views(hand_model: HandModel, rng: CounterRng) -> SampledViews:
    """Sample scenes and cameras of a batch of images."""
    hands = CapsuleHandModel(hand_model)
    scene = sample_scene(rng, hands)
    vertices = hand_model(scene.rotations, scene.shape).wrist_relative().vertices + scene.wrist[:, :, None]
    arms = forearm_directions(hands, scene.rotations)
    size = sample_image_sizes(rng)
    view = sample_view(rng, size, scene.plausible, scene.presence, vertices, scene.wrist, arms)
    rotation, offset = view.rotation[:, None].transpose(-1, -2), view.translation[:, None]
    return SampledViews(rng, scene, view, vertices @ rotation + offset[:, None], scene.wrist @ rotation[:, 0] + offset)
