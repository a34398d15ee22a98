"""Hand estimation on the bundled clip, with images of the result and errors against ground truth (``lgnet demo``)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from lgnet_core.commands.predict import Estimator
from lgnet_core.data.clip import Clip, read_clip
from lgnet_core.evaluation.end_to_end.clip_scores import ClipScores, score_clip
from lgnet_core.evaluation.end_to_end.reported_hand import to_reported_hands
from lgnet_core.io.output import make_folder
from lgnet_core.io.overlay_video import OverlayVideo
from lgnet_core.io.results import write_hands
from lgnet_core.visualization.drawing import contact_sheet, draw_3d, draw_overlay, write_png

SHEET_COLUMNS, SHEET_ROWS = 4, 3


@dataclass(frozen=True)
class Summary:
    """Summary of the demo.

    Args:
        scores: errors against the clip's ground truth.
        frames: number of frames.
        frames_per_second: throughput of the estimator alone.
        sheet, view, folder: paths of the contact sheet, of the 3D view and of the folder of all results.
    """

    scores: ClipScores
    frames: int
    frames_per_second: float
    sheet: Path
    view: Path
    folder: Path


def run_demo(estimator: Estimator, out: Path, clip: Clip | None = None, console: Console | None = None) -> Summary:
    """Estimate the hands in every frame; write overlays, an overlay video, a contact sheet, a 3D view and meshes.

    Args:
        clip: None: the bundled clip.
        console: for a progress bar; None: quiet.

    Raises:
        InputError: if the clip cannot be read.
        OutputError: if ``out`` is not a folder, or a result cannot be written.
    """
    clip = read_clip() if clip is None else clip

    make_folder(out / "frames")
    console = console or Console(quiet=True)
    estimator.estimate(clip.frames[0], clip.camera)  # warm-up, not timed
    seconds, found, overlays = 0.0, [], []
    with OverlayVideo(out / "overlay.mp4", clip.frames_per_second) as video:
        for k, frame in enumerate(track(clip.frames, "finding hands", console=console, transient=True)):
            start = time.perf_counter()
            hands = estimator.estimate(frame, clip.camera)
            seconds += time.perf_counter() - start
            found.append(hands)
            overlays.append(draw_overlay(frame, hands, clip.camera))
            write_png(out / "frames" / f"frame_{k:03d}.png", overlays[-1])
            video.add(overlays[-1], k / clip.frames_per_second)

    chosen = np.unique(np.linspace(0, len(overlays) - 1, SHEET_COLUMNS * SHEET_ROWS).round().astype(int))
    sheet, view = out / "contact_sheet.png", out / "view_3d.png"
    write_png(sheet, contact_sheet([overlays[k] for k in chosen], SHEET_COLUMNS, 400))
    best = max(range(len(found)), key=lambda k: sum(hand.presence for hand in found[k].hands))
    height = clip.camera.height
    write_png(view, np.hstack([overlays[best], draw_3d(found[best], height)]))
    write_hands(out, "view_3d", found[best], clip.camera, source=f"demo clip, frame {best}")
    return Summary(
        scores=score_clip([to_reported_hands(hands) for hands in found], clip),
        frames=len(found),
        frames_per_second=len(found) / seconds,
        sheet=sheet,
        view=view,
        folder=out,
    )
