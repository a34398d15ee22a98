"""The work of ``lgnet demo``: hands found in the bundled clip, as pictures, and how far they are from the truth.

The clip is synthetic, so its true joints are known to the last digit and lie beside its frames in one npz:
``jpeg`` (N,) uint8, all frames' JPEG files on end; ``ends`` (T,) where each ends; ``matrix`` (3, 3); ``size`` (2,)
width, height; ``joints`` (T, 2, 21, 3) metres, camera frame; ``presence`` (T, 2) bool; ``frames_per_second`` ().
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from lgnet_core.data.images import InputError
from lgnet_core.drawing import contact_sheet, draw_3d, draw_overlay, write_png
from lgnet_core.evaluation.estimates import hand_errors
from lgnet_core.predict import Estimator, OverlayVideo, make_folder
from lgnet_core.results import write_hands
from lgnet_core.types import Camera, FloatArray, Side, TwoHands

BUNDLED_CLIP = Path(__file__).parent / "assets" / "demo_clip.npz"
SHEET_COLUMNS, SHEET_ROWS = 4, 3


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames with their true hands.

    Shapes:
        frames: T pictures (H, W, 3) uint8 RGB; joints: (T, 2, 21, 3) metres, camera frame; presence: (T, 2) bool.
    """

    frames: list[FloatArray]
    camera: Camera
    joints: FloatArray
    presence: FloatArray
    frames_per_second: float


@dataclass(frozen=True)
class Scores:
    """How far the estimates are from the truth. Errors are means over the hands that are there and were found.

    Args:
        found: hands that are there and were found. missed: there, not found. extra: found, not there.
        error_pixels: of the joints' places in the picture, pixels.
        error_relative: of the wrist-relative joints, millimetres.
        error_wrist: of the wrist in the camera's frame, millimetres.
    """

    found: int
    missed: int
    extra: int
    error_pixels: float
    error_relative: float
    error_wrist: float


@dataclass(frozen=True)
class Summary:
    """What the demo did.

    Args:
        scores: against the clip's truth.
        frames: of the clip.
        frames_per_second: of the estimator alone.
        sheet, view, folder: where the contact sheet, the view in space and everything else lie.
    """

    scores: Scores
    frames: int
    frames_per_second: float
    sheet: Path
    view: Path
    folder: Path


def write_clip(path: str | Path, clip: Clip, quality: int = 85) -> None:
    """Write a clip as one npz; frames as JPEG of the given quality."""
    files = [cv2.imencode(".jpg", f[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].ravel() for f in clip.frames]
    np.savez(
        path,
        jpeg=np.concatenate(files),
        ends=np.cumsum([len(f) for f in files]),
        matrix=clip.camera.matrix,
        size=np.array([clip.camera.width, clip.camera.height]),
        joints=clip.joints.astype(np.float32),
        presence=clip.presence.astype(bool),
        frames_per_second=np.array(clip.frames_per_second),
    )


def read_clip(path: str | Path = BUNDLED_CLIP) -> Clip:
    """Read a clip.

    Raises:
        InputError: if the file is missing or is no clip.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        starts = np.concatenate([[0], arrays["ends"][:-1]])
        jpegs = [arrays["jpeg"][a:b] for a, b in zip(starts, arrays["ends"])]
        frames = [np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))[..., ::-1].copy() for jpeg in jpegs]
        camera = Camera(arrays["matrix"], int(arrays["size"][0]), int(arrays["size"][1]))
        rate = float(arrays["frames_per_second"])
        return Clip(frames, camera, arrays["joints"].astype(np.float64), arrays["presence"], rate)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, cv2.error) as error:
        raise InputError(f"{path}: is missing or is no demo clip ({error}); reinstall lgnet_ros") from error


def run_demo(estimator: Estimator, out: Path, clip: Clip | None = None, console: Console | None = None) -> Summary:
    """Find the hands in every frame; write overlays, a video of them, a contact sheet, a view in space and meshes.

    Args:
        clip: None: the bundled one.
        console: shows a progress bar; None: quiet.

    Raises:
        InputError: if the clip cannot be read or ``out`` is no folder.
    """
    clip = read_clip() if clip is None else clip

    make_folder(out / "frames")
    console = console or Console(quiet=True)
    estimator.estimate(clip.frames[0], clip.camera)  # the first call warms up and is not counted
    seconds, found, overlays = 0.0, [], []
    video = OverlayVideo(out / "overlay.mp4", clip.frames_per_second)
    for k, frame in enumerate(track(clip.frames, "finding hands", console=console, transient=True)):
        start = time.perf_counter()
        hands = estimator.estimate(frame, clip.camera)
        seconds += time.perf_counter() - start
        found.append(hands)
        overlays.append(draw_overlay(frame, hands, clip.camera))
        write_png(out / "frames" / f"frame_{k:03d}.png", overlays[-1])
        video.add(overlays[-1])
    video.close()

    chosen = np.unique(np.linspace(0, len(overlays) - 1, SHEET_COLUMNS * SHEET_ROWS).round().astype(int))
    sheet, view = out / "contact_sheet.png", out / "view_3d.png"
    write_png(sheet, contact_sheet([overlays[k] for k in chosen], SHEET_COLUMNS, 400))
    best = max(range(len(found)), key=lambda k: sum(hand.presence for hand in found[k].hands))
    height = clip.camera.height
    write_png(view, np.hstack([overlays[best], draw_3d(found[best], height)]))
    write_hands(out, "view_3d", found[best], clip.camera, source=f"demo clip, frame {best}")
    return Summary(
        scores=measure(found, clip),
        frames=len(found),
        frames_per_second=len(found) / seconds,
        sheet=sheet,
        view=view,
        folder=out,
    )


def measure(found: Sequence[TwoHands], clip: Clip) -> Scores:
    """Counts and mean errors of a clip's estimates; NaN where nothing was found."""
    pixels, relative, wrist = [], [], []
    hits = missed = extra = 0
    for k, hands in enumerate(found):
        for side in Side:
            hand = (hands.right, hands.left)[side]
            there = bool(clip.presence[k, side])
            hits += there and hand is not None
            missed += there and hand is None
            extra += not there and hand is not None
            if hand is None or not there:
                continue
            errors = hand_errors(hand, clip.joints[k, side], clip.camera)
            pixels.append(errors.pixels.mean())
            relative.append(errors.relative.mean())
            wrist.append(errors.wrist)
    means = [float(np.mean(values)) if values else float("nan") for values in (pixels, relative, wrist)]
    return Scores(hits, missed, extra, *means)
