"""Draw the frozen held-out set (once; it is never drawn again): lgnet_core/assets/held_out.npz.

    python tools/build_held_out.py [--sheet sheet.png]

With ``--sheet`` also a contact sheet of its first images, as they are stored.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from lgnet_core.hand_model import load_hand_model
from lgnet_core.synthetic.held_out import BUNDLED_SET, HeldOutHands, write_held_out
from lgnet_core.synthetic.sheet import write_sheet

NAME, SEED, COUNT = "synthetic-1", 20_261_121, 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BUNDLED_SET)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    hand_model = load_hand_model()
    if options.sheet is None or not options.out.exists():
        write_held_out(options.out, hand_model, NAME, SEED, COUNT)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")
    if options.sheet is not None:
        write_sheet(options.sheet, HeldOutHands(hand_model, options.out).batch(torch.arange(64)), hand_model)


if __name__ == "__main__":
    main()
