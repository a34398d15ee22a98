"""Times of the conversions for planners, on the two hands of the bundled hand model, without ROS communication.

python tools/benchmarks/bench_planners.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from lgnet_core.hand_model import HandLayer, load_hand_layer
from lgnet_core.hand_model.anatomy import angles_to_rotations
from lgnet_core.hand_model.finger_poses import preset
from lgnet_core.robotics.capsules import HandCapsules
from lgnet_core.robotics.hand_points import in_hands
from lgnet_core.types import FloatArray, Side
from lgnet_ros.output.messages import to_shape_mesh

WIDTH, HEIGHT, FOCAL = 640, 480, 560.0  # of the depth camera
HAND_POINTS = 40_000
REPETITIONS = 100


def main() -> None:
    torch.set_num_threads(1)
    hand_model = load_hand_layer()
    capsules = HandCapsules(hand_model)
    meshes = {side: pose_mesh(hand_model, side) for side in Side}
    faces = {side: hand_model.faces[side].numpy() for side in Side}
    fitted = [capsules(vertices, side) for side, vertices in meshes.items()]
    points = depth_image(np.concatenate(list(meshes.values())))
    far = points + np.float32([0, 0, 3])
    print("median (95th percentile) of", REPETITIONS, "calls, ms")
    for name, function in {
        "shape_msgs/Mesh of two hands": lambda: [to_shape_mesh(meshes[side], faces[side]) for side in Side],
        "capsules of two hands": lambda: [capsules(meshes[side], side) for side in Side],
        f"hands in {len(points)} points, {in_hands(points, fitted, 0.02).sum()} of them in hands": lambda: in_hands(
            points, fitted, 0.02
        ),
        "hands in as many points, none near": lambda: in_hands(far, fitted, 0.02),
    }.items():
        median, high = np.percentile(times(function), [50, 95])
        print(f"{name}: {median:.2f} ({high:.2f})")


def pose_mesh(hand_model: HandLayer, side: Side) -> FloatArray:
    """Vertices of a relaxed hand half a metre in front of the camera, apart from the other one."""
    rotations = angles_to_rotations(preset("relaxed"), side)[None]
    with torch.no_grad():
        mesh = hand_model(rotations, torch.zeros(1, 10), side=side).wrist_relative()
    return mesh.vertices[0].double().numpy() + np.array([-0.1 if side is Side.RIGHT else 0.1, 0, 0.5])


def depth_image(surface: FloatArray) -> FloatArray:
    """Points (N, 3) of a wall, some of them replaced by noisy points of a surface; 16 bytes each, as in a message."""
    random = np.random.default_rng(0)
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    depth = random.normal(1.2, 0.1, u.shape)
    wall = np.stack([(u - WIDTH / 2) / FOCAL * depth, (v - HEIGHT / 2) / FOCAL * depth, depth], -1).reshape(-1, 3)
    chosen = random.choice(len(wall), HAND_POINTS, replace=False)
    wall[chosen] = surface[random.integers(0, len(surface), HAND_POINTS)] + random.normal(0, 0.01, (HAND_POINTS, 3))
    cloud = np.zeros((len(wall), 4), np.float32)
    cloud[:, :3] = wall
    return cloud[:, :3]


def times(function: Callable[[], object]) -> list[float]:
    """Milliseconds of each call."""
    function()
    measured = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        function()
        measured.append(1e3 * (time.perf_counter() - start))
    return measured


if __name__ == "__main__":
    main()
