"""Build lgnet_core/assets/demo_clip.npz: two hands in front of a fixed camera wave, pray, cross, point, make fists.

    python tools/builders/make_demo_clip.py [-o FILE] [--sheet sheet.png]

The animation is defined in :mod:`lgnet_core.synthetic.demo_animation` and rendered like the training images, so that
the same licence applies.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from lgnet_core.data.clip import BUNDLED_CLIP, write_clip
from lgnet_core.synthetic.demo_animation import APPEARANCE, render_clip
from lgnet_core.types import Side
from lgnet_core.visualization.drawing import contact_sheet, write_png


def main() -> None:
    """Command line interface."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=BUNDLED_CLIP)
    parser.add_argument(
        "--appearance", type=int, default=APPEARANCE, help="image index that selects skin, light and background"
    )
    parser.add_argument("--quality", type=int, default=66, help="JPEG quality of the frames")
    parser.add_argument("--sheet", type=Path, help="also write a contact sheet here")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    clip = render_clip(args.appearance)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_clip(args.out, clip, args.quality)
    sides = ", ".join(f"{int(clip.presence[:, side].sum())} with the {side.label} hand" for side in Side)
    print(f"{args.out}: {len(clip.frames)} frames, {sides}, {args.out.stat().st_size / 1000:.0f} kB")
    if args.sheet:
        write_png(args.sheet, contact_sheet(clip.frames, 7, 280))


if __name__ == "__main__":
    main()
