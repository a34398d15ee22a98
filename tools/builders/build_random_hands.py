"""Build the thousand random hands of the random-hand baseline: lgnet_core/assets/random_hands.npz.

    python tools/builders/build_random_hands.py

The first thousand hands in the images of the synthetic generator with seed 31,415; left hands are mirrored. The file is
built once and never replaced, so that published results remain comparable.
"""

from __future__ import annotations

import json

import numpy as np
import roma
import torch
from rich.progress import Progress

from lgnet_core.data.augmentation import mirror
from lgnet_core.evaluation.baselines import BUNDLED_HANDS, NUM_RANDOM_HANDS
from lgnet_core.synthetic.generator import GENERATOR_VERSION, SyntheticHands
from lgnet_core.types import Side

SEED = 31_415
IMAGE_SIZE = 64  # images are generated only to know which hands they show
BATCH_SIZE = 32


def main() -> None:
    if BUNDLED_HANDS.exists():
        raise FileExistsError(f"{BUNDLED_HANDS} exists; published results depend on it, so it is never replaced")
    generator = SyntheticHands(SEED)
    rotations: list[torch.Tensor] = []
    shapes: list[torch.Tensor] = []
    with Progress() as bar:
        task, first = bar.add_task("random hands", total=NUM_RANDOM_HANDS), 0
        while len(shapes) < NUM_RANDOM_HANDS:
            batch = generator.crops(torch.arange(first, first + BATCH_SIZE), IMAGE_SIZE)
            mirrored = mirror(batch)  # left hands become right hands
            for k, side in batch.presence.nonzero().tolist():
                source = batch if side == Side.RIGHT else mirrored
                rotations.append(source.rotations[k, Side.RIGHT])
                shapes.append(source.shape[k, Side.RIGHT])
            first += BATCH_SIZE
            bar.update(task, completed=len(shapes))
    metadata = {"generator_version": GENERATOR_VERSION, "seed": SEED, "count": NUM_RANDOM_HANDS}
    rotvecs = roma.rotmat_to_rotvec(torch.stack(rotations[:NUM_RANDOM_HANDS]).double())
    np.savez_compressed(
        BUNDLED_HANDS,
        metadata=np.array(json.dumps(metadata)),
        rotations=rotvecs.numpy().astype(np.float16),
        shape=torch.stack(shapes[:NUM_RANDOM_HANDS]).numpy().astype(np.float16),
    )
    print(f"{BUNDLED_HANDS}: {BUNDLED_HANDS.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
