"""Draw the thousand random hands of a baseline, once, never again: lgnet_core/assets/random_hands.npz.

    python tools/build_random_hands.py

The first thousand hands that are in the images of the synthetic generator's seed 31,415; a left one is mirrored.
"""

from __future__ import annotations

import json

import numpy as np
import roma
import torch
from rich.progress import Progress

from lgnet_core.data.augmentation import mirror
from lgnet_core.evaluation.baselines import BUNDLED_HANDS, HANDS
from lgnet_core.synthetic.generator import GENERATOR_VERSION, SyntheticHands
from lgnet_core.types import Side

SEED, SIZE, TOGETHER = 31_415, 64, 32  # images are drawn only to know which hands are in them


def main() -> None:
    if BUNDLED_HANDS.exists():
        raise FileExistsError(f"{BUNDLED_HANDS}: what figures were measured against stays as it is")
    generator = SyntheticHands(SEED)
    rotations: list[torch.Tensor] = []
    shapes: list[torch.Tensor] = []
    with Progress() as bar:
        task, first = bar.add_task("random hands", total=HANDS), 0
        while len(shapes) < HANDS:
            batch = generator.crops(torch.arange(first, first + TOGETHER), SIZE)
            mirrored = mirror(batch)  # its right hands are the left ones
            for k, side in batch.presence.nonzero().tolist():
                source = batch if side == Side.RIGHT else mirrored
                rotations.append(source.rotations[k, Side.RIGHT])
                shapes.append(source.shape[k, Side.RIGHT])
            first += TOGETHER
            bar.update(task, completed=len(shapes))
    about = {"generator_version": GENERATOR_VERSION, "seed": SEED, "count": HANDS}
    turns = roma.rotmat_to_rotvec(torch.stack(rotations[:HANDS]).double())
    np.savez_compressed(
        BUNDLED_HANDS,
        metadata=np.array(json.dumps(about)),
        rotations=turns.numpy().astype(np.float16),
        shape=torch.stack(shapes[:HANDS]).numpy().astype(np.float16),
    )
    print(f"{BUNDLED_HANDS}: {BUNDLED_HANDS.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
