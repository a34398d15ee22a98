"""Fine-tuning of the palm detector, for hands that touch, hide each other or are cut off: ``lgnet train-palms``.

The layers up to stride 4 stay as they are. A training that was stopped, however, goes on from its last checkpoint to
the very weights that it would have come to without the stop.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor, nn

from lgnet_core.data.realhands import RealImage, read_index
from lgnet_core.hand_model import load_hand_model
from lgnet_core.network.detector.palm_detector import (
    PalmCandidates,
    PalmDetector,
    load_mediapipe_palm_detector,
    load_palm_detector,
)
from lgnet_core.network.pretrained import PALM_DETECTOR, file_name, save_half_precision
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.palms.data import PalmImages
from lgnet_core.training.palms.labels import PalmTargets
from lgnet_core.training.schedule import learning_rate_factor

log = logging.getLogger(__name__)

PRETRAINED = "pretrained"
CHECKPOINT, SETTINGS = "last.pt", "settings.json"
SOURCE = "mediapipe 0.10.21, palm_detection_full.tflite, Apache-2.0; fine-tuned by lgnet train-palms"
"""In the header of the exported weights."""
HELD_OUT = 10
"""One in so many real images of the train split is not trained on."""
BOX_WEIGHT = 2.0
BOX_KNEE = 0.1
"""Error, in sides of the palm, at which the smooth L1 loss becomes linear."""
WEIGHT_DECAY = 1e-4
LARGEST_GRADIENT = 5.0
AVERAGED = 0.995
"""What a step leaves of the average of the weights, which is what is exported."""


@dataclass(frozen=True)
class PalmTraining:
    """Everything that is chosen about a training.

    Args:
        out: folder of the checkpoint and of the exported weights.
        data: sets that ``lgnet synth`` wrote. root: of the real images (:mod:`lgnet_core.data.realhands`).
        steps: of the whole training. batch_size: images a step, even: half of them are real.
        learning_rate: of AdamW, at its height, in root mean squares of each tensor of weights; it rises over the first
            ``warmup`` steps and falls as half a cosine.
        initial: ``pretrained``: MediaPipe's own; or weights to start from.
        checkpoint_steps: between two checkpoints.
        threads: of the CPU; 0: as torch chooses.
        progress: show a bar.
    """

    out: Path
    data: tuple[Path, ...]
    root: Path
    steps: int = 1000
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup: int = 50
    initial: str = PRETRAINED
    checkpoint_steps: int = 50
    seed: int = 0
    threads: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("data: no set is named; give folders that `lgnet synth` wrote")
        if self.batch_size < 2 or self.batch_size % 2:
            raise ValueError(f"batch size {self.batch_size}: half of a batch's images are real; give an even number")
        for name in ("steps", "learning_rate", "checkpoint_steps"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a number above 0, got {getattr(self, name)}")


def palm_loss(found: PalmCandidates, targets: PalmTargets) -> tuple[Tensor, Tensor]:
    """Losses of the scores and of the boxes with their keypoints, each over the number of palms' anchors.

    Scores: cross-entropy. Focal loss left the many anchors without a palm at a tenth to a third, where small things in
    a room scored as high as covered hands. Boxes and keypoints: smooth L1 of the error in sides of the palm.

    Shapes: of a batch of images; returns two scalars.
    """
    score = F.binary_cross_entropy_with_logits(found.logits, targets.scores, targets.known.float(), reduction="sum")
    fitted = targets.fitted
    corners = found.boxes[fitted].unflatten(-1, (2, 2)), targets.boxes[fitted].unflatten(-1, (2, 2))
    points, wanted = (
        torch.cat([two, x[fitted]], 1) for two, x in zip(corners, (found.keypoints, targets.keypoints))
    )  # (N, 2 + 7, 2)
    side = (corners[1][:, 1] - corners[1][:, 0]).amax(-1)[:, None, None].clamp_min(1.0)
    place = F.smooth_l1_loss(points / side, wanted / side, reduction="none", beta=BOX_KNEE).sum(-1).mean(-1).sum()
    count = fitted.sum().clamp_min(1)
    return score / count, place / count


def split_real(root: Path) -> tuple[list[RealImage], list[RealImage]]:
    """The train split's images that are trained on, and those that are held out."""
    images = read_index(root, "train")
    return [x for k, x in enumerate(images) if k % HELD_OUT], images[::HELD_OUT]


def train_palms(config: PalmTraining) -> Path:
    """Train the palm detector, or go on with a training that was stopped.

    Returns:
        The exported weights, ``palm_detector.safetensors`` in the run's folder.

    Raises:
        ValueError: if the settings contradict the data or the training to be resumed.
        FileNotFoundError: if the initial weights are missing.
        StoredSetError, InputError: if a set or the real images are missing.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
        cv2.setNumThreads(config.threads)
    hand_model = load_hand_model(None)
    sets = [StoredHands(folder, hand_model) for folder in config.data]
    images = PalmImages(split_real(config.root)[0], sets, hand_model, load_mediapipe_palm_detector(), config.seed)
    run = _Run(config)
    totals = [0.0, 0.0]
    steps = range(run.step, config.steps)
    for step in track(steps, "training", disable=not config.progress, transient=True):
        score, place = palm_loss(*_pass(run.network, images, step, config.batch_size))
        run.update(score + BOX_WEIGHT * place)
        totals = [totals[0] + float(score.detach()), totals[1] + float(place.detach())]
        if run.step % config.checkpoint_steps == 0 or run.step == config.steps:
            since = (run.step - 1) % config.checkpoint_steps + 1
            log.info("step %d: scores %.3f, boxes %.4f", run.step, *(total / since for total in totals))
            totals = [0.0, 0.0]
            run.save()
    path = config.out / file_name(PALM_DETECTOR, "full")
    save_half_precision(run.average, path, {"source": SOURCE, "steps": str(run.step)})
    return path


def _pass(network: PalmDetector, images: PalmImages, step: int, count: int) -> tuple[PalmCandidates, PalmTargets]:
    with torch.no_grad():
        batch = images.draw(step, count)
    return network(batch.images.contiguous(memory_format=torch.channels_last)), batch.targets


class _Run:
    """The network in training, the average of its weights, and the optimiser; kept in the run's folder."""

    def __init__(self, config: PalmTraining) -> None:
        self.config = config
        self.network, self.average = (_initial(config) for _ in range(2))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.train().requires_grad_(True)
        for early in _early_layers(self.network):
            early.requires_grad_(False)
        self.average.requires_grad_(False)
        self._trained = [p for p in self.network.parameters() if p.requires_grad]
        # Norms are folded into the kernels, whose sizes differ a hundredfold from layer to layer: steps as long for all
        # tear the small ones apart. Source of steps relative to the weights: Shazeer and Stern 2018, "Adafactor".
        groups = [{"params": [p], "scale": max(float(p.detach().square().mean().sqrt()), 1e-3)} for p in self._trained]
        self._optimiser = torch.optim.AdamW(groups, config.learning_rate, weight_decay=WEIGHT_DECAY)
        self._factor = learning_rate_factor("cosine", config.steps, min(config.warmup, config.steps))
        self.step = 0
        self._resume()

    def update(self, loss: Tensor) -> None:
        """One step of the optimiser and of the average."""
        for group in self._optimiser.param_groups:
            group["lr"] = self.config.learning_rate * self._factor(self.step) * group["scale"]
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._trained, LARGEST_GRADIENT)
        self._optimiser.step()
        self.step += 1
        kept = min(AVERAGED, self.step / (self.step + 10))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.network.parameters()):
                mean.lerp_(value, 1 - kept)

    def save(self) -> None:
        """Whole, or not at all."""
        path = self.config.out / CHECKPOINT
        partial = path.with_suffix(".partial")
        torch.save({"step": self.step, **{name: part.state_dict() for name, part in self._parts().items()}}, partial)
        partial.replace(path)

    def _parts(self) -> dict[str, Any]:
        return {"network": self.network, "average": self.average, "optimiser": self._optimiser}

    def _resume(self) -> None:
        out, settings = self.config.out, _settings(self.config)
        out.mkdir(parents=True, exist_ok=True)
        path = out / CHECKPOINT
        if path.exists():
            before = json.loads((out / SETTINGS).read_text())
            for name, now in settings.items():
                if before.get(name) != now:
                    raise ValueError(
                        f"{out}: was trained with {name}={before.get(name)!r}, now {now!r} is asked; "
                        "give the same, or another folder"
                    )
            saved = torch.load(path, weights_only=True)
            self.step = saved["step"]
            for name, part in self._parts().items():
                part.load_state_dict(saved[name])
        (out / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")


def _initial(config: PalmTraining) -> PalmDetector:
    return load_mediapipe_palm_detector() if config.initial == PRETRAINED else load_palm_detector(config.initial)


def _settings(config: PalmTraining) -> dict[str, Any]:
    """What a training must keep when it goes on, as JSON has it."""
    changeable = ("out", "checkpoint_steps", "threads", "progress")
    chosen = {name: value for name, value in asdict(config).items() if name not in changeable}
    settings: dict[str, Any] = json.loads(json.dumps(chosen, default=str))
    return settings


def _early_layers(network: PalmDetector) -> Iterator[nn.Module]:
    """Those up to stride 4: half of a step's time, and general."""
    body = network.body
    yield from (body.stem, body.stem_act, body.stride2, body.stride4)
