"""Generate the frozen held-out set lgnet_core/assets/held_out.npz; an existing set is never overwritten.

    python tools/builders/build_held_out.py [--sheet sheet.png]

``--sheet`` also writes a contact sheet of the first stored images.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from lgnet_core.hand_model import load_hand_layer
from lgnet_core.synthetic.contact_sheet import write_contact_sheet
from lgnet_core.synthetic.held_out import BUNDLED_SET, HeldOutHands, write_held_out

NAME, SEED, COUNT = "synthetic-1", 20_261_121, 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BUNDLED_SET)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    hand_model = load_hand_layer()
    if options.sheet is None or not options.out.exists():
        write_held_out(options.out, hand_model, NAME, SEED, COUNT)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")
    if options.sheet is not None:
        write_contact_sheet(options.sheet, HeldOutHands(hand_model, options.out).batch(torch.arange(64)), hand_model)


if __name__ == "__main__":
    main()
