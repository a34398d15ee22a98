"""Fine-tuning of the palm detector for touching, occluded and truncated hands: ``lgnet train-palms``.

The layers up to stride 4 are frozen. A checkpoint is written about once a minute and when the training is interrupted;
a training resumed from it yields exactly the weights of an uninterrupted one.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor, nn

from lgnet_core.data.realhands import RealImage, read_index
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.io.interruption import SAVE_SECONDS
from lgnet_core.io.output import make_folder, write_bytes
from lgnet_core.network.detector.palm_detector import (
    PalmCandidates,
    PalmDetector,
    load_mediapipe_palm_detector,
    load_palm_detector,
)
from lgnet_core.network.pretrained import PALM_DETECTOR, save_half_precision, weights_filename
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.palms.data import PalmImages
from lgnet_core.training.palms.targets import PalmTargets
from lgnet_core.training.resume import check_settings, write_settings
from lgnet_core.training.schedule import learning_rate_factor

log = logging.getLogger(__name__)

PRETRAINED = "pretrained"
CHECKPOINT = "last.pt"
SOURCE = "mediapipe 0.10.21, palm_detection_full.tflite, Apache-2.0; fine-tuned by lgnet train-palms"
"""Origin in the header of the exported weights."""
HELD_OUT_STRIDE = 10
"""Every tenth real image of the train split is held out."""
BOX_WEIGHT = 2.0
SMOOTH_L1_BETA = 0.1
"""Error, in sides of the palm, at which the smooth L1 loss becomes linear."""
WEIGHT_DECAY = 1e-4
MAX_GRADIENT_NORM = 5.0
EMA_DECAY = 0.995
"""Final decay of the exponential moving average of the weights, which is exported."""
EMA_WARMUP = 10
"""The decay at step n is n / (n + 10) until it reaches :data:`EMA_DECAY`."""
MIN_WEIGHT_RMS = 1e-3
"""Lower limit of the root mean square of a tensor of weights that scales its learning rate."""


@dataclass(frozen=True)
class PalmTrainConfig:
    """Configuration of a palm-detector training.

    Args:
        out: output folder of the checkpoint and the exported weights.
        data: stored sets of ``lgnet synth``.
        root: folder of the real images (:mod:`lgnet_core.data.realhands`).
        steps: optimiser steps of the whole training.
        batch_size: images per step, even: half of them are real.
        learning_rate: peak learning rate of AdamW, relative to the root mean square of each tensor of weights, with
            linear warm-up over the first ``warmup`` steps and cosine decay.
        initial: ``pretrained`` for MediaPipe's weights, or a file of weights to start from.
        log_steps: steps between two lines of the log.
        threads: CPU threads; 0: torch's default.
        progress: show a progress bar.

    Raises:
        ValueError: if a value is invalid.
    """

    out: Path
    data: tuple[Path, ...]
    root: Path
    steps: int = 1000
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup: int = 50
    initial: str = PRETRAINED
    log_steps: int = 50
    seed: int = 0
    threads: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("data: is empty; give folders of `lgnet synth`")
        if self.batch_size < 2 or self.batch_size % 2:
            raise ValueError(f"batch size {self.batch_size}: half of a batch's images are real; give an even number")
        for name in ("steps", "learning_rate", "log_steps"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a number above 0, got {getattr(self, name)}")


def palm_loss(candidates: PalmCandidates, targets: PalmTargets) -> tuple[Tensor, Tensor]:
    """Score loss, and box and keypoint loss, both normalised by the number of positive anchors.

    Scores: binary cross-entropy. With focal loss the many negative anchors kept scores of a tenth to a third, so that
    small objects in a room scored as high as occluded hands. Boxes and keypoints: smooth L1 of the error in sides of
    the palm.

    Shapes: targets of a batch of images; returns two scalars.
    """
    score_loss = F.binary_cross_entropy_with_logits(
        candidates.logits, targets.scores, targets.score_mask.float(), reduction="sum"
    )
    positive = targets.positive
    corners, target_corners = (x.boxes[positive].unflatten(-1, (2, 2)) for x in (candidates, targets))
    points = torch.cat([corners, candidates.keypoints[positive]], 1)  # (N, 2 + 7, 2)
    target_points = torch.cat([target_corners, targets.keypoints[positive]], 1)
    side = (target_corners[:, 1] - target_corners[:, 0]).amax(-1)[:, None, None].clamp_min(1.0)
    error = F.smooth_l1_loss(points / side, target_points / side, reduction="none", beta=SMOOTH_L1_BETA)
    box_loss = error.sum(-1).mean(-1).sum()
    count = positive.sum().clamp_min(1)
    return score_loss / count, box_loss / count


def split_real_images(root: Path) -> tuple[list[RealImage], list[RealImage]]:
    """Training images and held-out images of the train split."""
    images = read_index(root, "train")
    return [x for k, x in enumerate(images) if k % HELD_OUT_STRIDE], images[::HELD_OUT_STRIDE]


def train_palms(config: PalmTrainConfig) -> Path:
    """Train the palm detector, or resume an interrupted training.

    Returns:
        Path of the exported weights, ``palm_detector.safetensors`` in the output folder.

    Raises:
        ValueError: if the settings contradict the data or the training to be resumed.
        FileNotFoundError: if the initial weights are missing.
        StoredSetError, InputError: if a stored set or the real images are missing.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
        cv2.setNumThreads(config.threads)
    hand_model = load_hand_layer(None)
    sets = [StoredHands(folder, hand_model) for folder in config.data]
    real = split_real_images(config.root)[0]
    images = PalmImages(real, sets, hand_model, load_mediapipe_palm_detector(), config.seed)
    state = _TrainingState(config)
    score_sum, box_sum, count = 0.0, 0.0, 0
    steps = range(state.step, config.steps)
    with state.saved_on_interruption():
        for step in track(steps, "training", disable=not config.progress, transient=True):
            score_loss, box_loss = palm_loss(*_forward(state.network, images, step, config.batch_size))
            state.update(score_loss + BOX_WEIGHT * box_loss)
            score_sum, box_sum = score_sum + float(score_loss.detach()), box_sum + float(box_loss.detach())
            count += 1
            if state.step % config.log_steps == 0 or state.step == config.steps:
                log.info("step %d: score loss %.3f, box loss %.4f", state.step, score_sum / count, box_sum / count)
                score_sum, box_sum, count = 0.0, 0.0, 0
            if state.unsaved_seconds >= SAVE_SECONDS or state.step == config.steps:
                state.save()
    path = config.out / weights_filename(PALM_DETECTOR, "full")
    save_half_precision(state.average, path, {"source": SOURCE, "steps": str(state.step)})
    return path


def _forward(network: PalmDetector, images: PalmImages, step: int, count: int) -> tuple[PalmCandidates, PalmTargets]:
    with torch.no_grad():
        batch = images.batch(step, count)
    return network(batch.images.contiguous(memory_format=torch.channels_last)), batch.targets


class _TrainingState:
    """Network, averaged weights and optimiser, checkpointed in the output folder."""

    def __init__(self, config: PalmTrainConfig) -> None:
        self.config = config
        self.network, self.average = (_initial_network(config) for _ in range(2))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.train().requires_grad_(True)
        for early in _early_layers(self.network):
            early.requires_grad_(False)
        self.average.requires_grad_(False)
        self._trained = [p for p in self.network.parameters() if p.requires_grad]
        # Norms are folded into the kernels, whose magnitudes differ by a factor of 100 between layers: equal steps for
        # all would destroy the small ones. Source of relative step sizes: Shazeer and Stern 2018, "Adafactor".
        groups = [
            {"params": [p], "scale": max(float(p.detach().square().mean().sqrt()), MIN_WEIGHT_RMS)}
            for p in self._trained
        ]
        self._optimiser = torch.optim.AdamW(groups, config.learning_rate, weight_decay=WEIGHT_DECAY)
        self._lr_factor = learning_rate_factor("cosine", config.steps, min(config.warmup, config.steps))
        self.step = 0
        self._consistent = True
        self._resume()
        self._saved_step, self._saved_at = self.step, time.monotonic()

    def update(self, loss: Tensor) -> None:
        """One optimiser step, and update of the averaged weights."""
        for group in self._optimiser.param_groups:
            group["lr"] = self.config.learning_rate * self._lr_factor(self.step) * group["scale"]
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._trained, MAX_GRADIENT_NORM)
        self._consistent = False
        self._optimiser.step()
        self.step += 1
        decay = min(EMA_DECAY, self.step / (self.step + EMA_WARMUP))
        with torch.no_grad():
            for average, value in zip(self.average.parameters(), self.network.parameters()):
                average.lerp_(value, 1 - decay)
        self._consistent = True

    @contextmanager
    def saved_on_interruption(self) -> Iterator[None]:
        """Write the checkpoint if the block is interrupted, unless in the middle of an update of the weights."""
        try:
            yield
        except KeyboardInterrupt:
            if self._consistent and self.step > self._saved_step:
                self.save()
            raise

    @property
    def unsaved_seconds(self) -> float:
        """Time since the last checkpoint, or since the start."""
        return time.monotonic() - self._saved_at

    def save(self) -> None:
        """Write the checkpoint atomically."""
        states = {name: part.state_dict() for name, part in self._parts().items()}
        content = io.BytesIO()  # torch reports a full disk as a failed assertion of its own
        torch.save({"step": self.step, **states}, content)
        write_bytes(self.config.out / CHECKPOINT, content.getvalue())
        self._saved_step, self._saved_at = self.step, time.monotonic()

    def _parts(self) -> dict[str, Any]:
        return {"network": self.network, "average": self.average, "optimiser": self._optimiser}

    def _resume(self) -> None:
        out, settings = self.config.out, _fixed_settings(self.config)
        make_folder(out)
        path = out / CHECKPOINT
        if path.exists():
            check_settings(out, settings)
            checkpoint = torch.load(path, weights_only=True)
            self.step = checkpoint["step"]
            for name, part in self._parts().items():
                part.load_state_dict(checkpoint[name])
        write_settings(out, settings)


def _initial_network(config: PalmTrainConfig) -> PalmDetector:
    return load_mediapipe_palm_detector() if config.initial == PRETRAINED else load_palm_detector(config.initial)


def _fixed_settings(config: PalmTrainConfig) -> dict[str, Any]:
    """Settings that must not change when a training is resumed."""
    changeable = ("out", "log_steps", "threads", "progress")
    return {name: value for name, value in asdict(config).items() if name not in changeable}


def _early_layers(network: PalmDetector) -> Iterator[nn.Module]:
    """Layers up to stride 4: general features, and half of the time of a step."""
    body = network.body
    yield from (body.stem, body.stem_act, body.stride2, body.stride4)
