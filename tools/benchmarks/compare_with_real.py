"""Synthetic crops of hands compared with real ones: image spectrum and distribution of poses.

    python tools/benchmarks/compare_with_real.py sets/hands REALHANDS out/realism.png

Both are measured on upright crops, as the networks see them. Real hands are those of the train split of `realhands` of
which the pretrained landmark network is confident; synthetic ones are those of a stored set on which it is confident
too, so that both pose distributions are seen by the same network. The chart shows the radial power spectra (median and
quartiles) and the distributions of finger flexion and of the palm's direction. For each quantity, the Wasserstein
distance between synthetic and real is printed beside that between two halves of the real images, which is the noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import wasserstein_distance

from lgnet_core.data.hand_pairs import crop_hand_pairs
from lgnet_core.data.realhands import read_index
from lgnet_core.engines.factory import make_engine
from lgnet_core.geometry.hand_crops import crops_from_joints
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.inference.crops import extract_crops
from lgnet_core.network.detector.hand_landmark import load_hand_landmark_net
from lgnet_core.network.detector.palm_detector import load_palm_detector
from lgnet_core.network.prediction import HAND_CROP_SIZE, sigmoid
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.features.teacher import Teacher, TeacherSettings
from lgnet_core.types import FloatArray

MIN_CROP_SIDE = 112
"""Minimum side of a crop in pixels of its image: smaller ones are blurred by the enlargement."""
FINGERS = ("thumb", "index", "middle", "ring", "pinky")


def real_crops(root: Path, teacher: Teacher) -> Iterator[FloatArray]:
    """Upright crops (3, 224, 224) of the confidently detected hands, left ones mirrored."""
    for entry in read_index(root, "train"):
        image = entry.read()
        for hand in teacher.label(image):
            crops = crops_from_joints(torch.from_numpy(hand.joints_2d[None]))
            if float(crops.side) >= MIN_CROP_SIDE:
                affine = crops.mirror_left(torch.tensor([int(hand.side)])).affine(HAND_CROP_SIZE)
                yield extract_crops(image, affine.numpy(), HAND_CROP_SIZE)[0]


def synthetic_crops(images: StoredHands, count: int) -> Iterator[FloatArray]:
    """The same of the first images of a stored set, around the ground-truth joints."""
    hand_model = load_hand_layer()
    for k in range(min(count, len(images))):
        batch = images[k]
        pairs = crop_hand_pairs(batch, batch.labels(hand_model).joints_2d)
        sides = HAND_CROP_SIZE / torch.linalg.det(pairs.affine[0, :, :, :2]).abs().sqrt()
        for side in batch.presence[0].nonzero()[:, 0].tolist():
            if float(sides[side]) >= MIN_CROP_SIDE:
                yield pairs.images[0, side].numpy()


def spectrum(crop: FloatArray) -> FloatArray:
    """(112,) log10 of the radially averaged power spectrum of the luminance; index: cycles per crop."""
    luminance = np.tensordot([0.299, 0.587, 0.114], crop, 1)
    window = np.hanning(HAND_CROP_SIZE)
    power = np.abs(np.fft.fftshift(np.fft.fft2((luminance - luminance.mean()) * np.outer(window, window)))) ** 2
    v, u = np.indices(power.shape) - HAND_CROP_SIZE // 2
    radius = np.hypot(u, v).round().astype(int)
    total = np.bincount(radius.ravel(), power.ravel())
    return np.log10(total / np.bincount(radius.ravel()) + 1e-9)[: HAND_CROP_SIZE // 2]


def pose(world: FloatArray) -> dict[str, float]:
    """Flexion of each finger, the sum of the angles between its bones, and the direction of the palm; degrees."""
    values = {}
    for k, finger in enumerate(FINGERS):
        bones = np.diff(world[[0, *range(4 * k + 1, 4 * k + 5)]], axis=0)
        bones /= np.linalg.norm(bones, axis=1, keepdims=True)
        cosines = (bones[:-1] * bones[1:]).sum(1).clip(-1, 1)
        values[f"flexion of the {finger}"] = float(np.degrees(np.arccos(cosines)).sum())
    normal = np.cross(world[5] - world[0], world[17] - world[0])
    values["palm to camera"] = float(np.degrees(np.arccos((normal[2] / np.linalg.norm(normal)).clip(-1, 1))))
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("real", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=1500, help="synthetic images")
    options = parser.parse_args()
    landmarks = make_engine(load_hand_landmark_net(), "auto", "cpu")
    settings = TeacherSettings()
    teacher = Teacher(landmarks, make_engine(load_palm_detector(), "auto", "cpu"), settings)
    spectra: dict[str, list[FloatArray]] = {"real": [], "synthetic": []}
    poses: dict[str, list[dict[str, float]]] = {"real": [], "synthetic": []}
    for kind, crops in {
        "real": real_crops(options.real, teacher),
        "synthetic": synthetic_crops(StoredHands(options.set), options.count),
    }.items():
        for crop in crops:
            output = landmarks(crop[None])
            if float(sigmoid(output.presence_logits)[0]) >= settings.min_presence:
                spectra[kind].append(spectrum(crop))
                poses[kind].append(pose(output.world_landmarks[0]))
        print(f"{kind}: {len(poses[kind])} hands")
    names = list(poses["real"][0])
    figure = Figure(figsize=(14, 7), layout="constrained")
    axes = figure.subplots(2, 4).ravel()
    for kind, colour in (("real", "#000000"), ("synthetic", "#D55E00")):
        low, middle, high = np.percentile(spectra[kind], (25, 50, 75), axis=0)
        frequency = np.arange(1, len(middle))
        axes[0].plot(frequency, middle[1:], color=colour, label=kind)
        axes[0].fill_between(frequency, low[1:], high[1:], color=colour, alpha=0.2, linewidth=0)
        for ax, name in zip(axes[1:], names, strict=False):
            values = [values[name] for values in poses[kind]]
            ax.hist(values, bins=30, density=True, histtype="step", color=colour, label=kind)
            ax.set_xlabel(f"{name}, degrees")
    axes[0].set(xscale="log", xlabel="cycles per crop", ylabel="log10 of the power")
    axes[0].legend()
    axes[-1].axis("off")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, dpi=90)
    print("Wasserstein distance: synthetic to real (two halves of the real images)")
    for name in names:
        real, synthetic = ([values[name] for values in poses[kind]] for kind in ("real", "synthetic"))
        print(f"{name}: {wasserstein_distance(real, synthetic):.1f} ({_halves(real):.1f}) degrees")
    for low, high in ((1, 4), (4, 16), (16, 56), (56, 112)):
        real, synthetic = ([float(s[low:high].mean()) for s in spectra[kind]] for kind in ("real", "synthetic"))
        distance = wasserstein_distance(real, synthetic)
        print(f"power at {low} to {high} cycles per crop: {distance:.2f} ({_halves(real):.2f}) decades")


def _halves(values: list[float]) -> float:
    """Distance between the even and the odd values: the noise of the comparison."""
    return float(wasserstein_distance(values[::2], values[1::2]))


if __name__ == "__main__":
    main()
