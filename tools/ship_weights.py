"""Judge a training's weights on synthetic pictures that it never saw, and bundle them with the figures.

    python tools/ship_weights.py runs/lgnet-mini/weights.safetensors --data "what it was trained on" [--ship]

Prints wrist-aligned errors in millimetres (raw, no scaling), the relative wrist error, the 2D error in 256ths of a crop
and the share of right presences, on ``--count`` crops of seed ``--seed``, beside the errors of the mean pose. With
``--ship`` the weights go to lgnet_core/weights/lgnet-mini.safetensors, figures and provenance in the file's header.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lgnet_core.camera import pixels_to_normalised
from lgnet_core.checkpoint import BUNDLED_WEIGHTS, load_network, save_network
from lgnet_core.data.sample import HandsBatch
from lgnet_core.data.synthetic.generator import GENERATOR_VERSION, SyntheticHands
from lgnet_core.network import HandsPrediction, LGNet
from lgnet_core.network.joint_stage import normalise_joints
from lgnet_core.training.losses import masked_mean
from lgnet_core.training.module import figures


def mean_pose(network: LGNet, batch: HandsBatch) -> HandsPrediction:
    """What a network that sees nothing would say: the hand model's mean pose, its joints in the middle of the crop."""
    model, count = network.hand_model, len(batch)
    mesh = model(model.pose_to_rotations(torch.zeros(count, 2, 48)), torch.zeros(count, 2, 10)).wrist_relative()
    middle = torch.full((count, 2, 21, 3), (batch.image.shape[-1] // 32 - 1) / 2)
    zeros = torch.zeros(count, 2, 21)
    return HandsPrediction(
        joints_grid=middle,
        joint_log_variance=zeros,
        presence_logits=torch.ones(count, 2),
        rotations=model.pose_to_rotations(torch.zeros(count, 2, 48)),
        shape=torch.zeros(count, 2, 10),
        camera=torch.zeros(count, 2, 3),
        rough_vertices=mesh.vertices,
        rough_joints=mesh.joints,
        vertices=mesh.vertices,
        joints=mesh.joints,
        relative_translation=torch.zeros(count, 3),
    )


def judge(network: LGNet, batches: list[HandsBatch], blind: bool = False) -> dict[str, float]:
    """Means over all hands (pairs for the relative translation) of all batches."""
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for batch in track(batches, "judging the mean pose" if blind else "judging"):
        labels = batch.labels(network.hand_model)
        with torch.inference_mode():
            image = batch.image.float() / 255
            prediction = mean_pose(network, batch) if blind else network(image, batch.intrinsics)
        size = batch.image.shape[-1]
        apart = normalise_joints(prediction.joints_grid, size // 32)[..., :2] - pixels_to_normalised(
            labels.joints_2d, size
        )
        found = figures(prediction, batch, labels)
        found["joints_2d_px256"] = (
            masked_mean((apart * 128).norm(dim=-1), batch.presence),
            int(batch.presence.sum()),
        )
        for name, (value, count) in found.items():
            if count:
                sums[name] = sums.get(name, 0.0) + float(value) * count
                counts[name] = counts.get(name, 0) + count
    return {name: round(sums[name] / counts[name], 3) for name in sums}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", required=True, help="what the weights were trained on, for the file's header")
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--seed", type=int, default=20_261, help="of the pictures to judge by")
    parser.add_argument("--ship", action="store_true")
    arguments = parser.parse_args()

    network, metadata = load_network(arguments.weights)
    generator = SyntheticHands(arguments.seed, network.hand_model)
    size = int(metadata["size"])
    batches = [generator.crops(part, size) for part in track(torch.arange(arguments.count).split(32), "drawing")]
    result, blind = judge(network, batches), judge(network, batches, blind=True)
    table = Table("figure", "mean pose", "weights")
    for name, value in result.items():
        table.add_row(name, f"{blind[name]:g}", f"{value:g}")
    Console().print(table)
    if arguments.ship:
        about = {
            "data": arguments.data,
            "figures": {
                "protocol": "wrist-aligned, raw, mm; synthetic crops",
                "generator_version": GENERATOR_VERSION,
                "seed": arguments.seed,
                "count": arguments.count,
                "weights": result,
                "mean_pose": blind,
            },
        }
        save_network(BUNDLED_WEIGHTS, network, {**metadata, **about}, half=True)
        print(f"{BUNDLED_WEIGHTS}: {BUNDLED_WEIGHTS.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
