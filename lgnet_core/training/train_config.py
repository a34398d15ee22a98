"""``TrainConfig``: everything a training is decided by, as ``lgnet train`` fills it in."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from lgnet_core.network import HandLGNetConfig, LGNetConfig, NetworkConfig, find_config
from lgnet_core.training.losses.config import loss_weights
from lgnet_core.training.module import Optimisation

SYNTHETIC, INTERHAND26M, REALHANDS = "synthetic", "interhand26m", "realhands"
LAST = "last.ckpt"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class TrainConfig:
    """Everything a training is decided by.

    Args:
        out: the run's folder: logs, ``last.ckpt`` (to resume), ``weights.safetensors`` (averaged weights, to use).
        preset: of the network, see :func:`lgnet_core.network.find_config`.
        backbone: another than the preset's, to compare networks on the same; None: the preset's.
        data: ``synthetic`` (generated while training), ``interhand26m`` (its train split, in ``root``; needs the MANO
            that was fitted as ``hand_model``), or the folder of a stored set (``lgnet synth``). Several with their
            weights: ``interhand26m=0.7,/sets/synthetic=0.3``.
            ``realhands`` (real images in ``root``, without labels, with ``freeze_backbone``): the landmark network
            that is left as it is teaches what follows it, see :mod:`lgnet_core.training.teacher`.
        root: of InterHand2.6M, or of the real images. annotation, subset: which of its images, see
            :class:`lgnet_core.data.interhand26m.InterHand26M`.
        hand_model: folder of a converted MANO; None for the bundled hand.
        size: side of the images that the network sees, a multiple of 32.
        batch_size: images a device sees at a time.
        accumulate: batches whose gradients make one step: a step sees batch_size x accumulate x devices images.
        steps: of the whole training.
        epochs: how often every image of a set is seen, instead of ``steps``; 0: as ``steps`` says.
        epoch_steps: after how many steps it validates, saves and exports.
        max_minutes: stop (and save) after this much wall-clock time; 0: no limit.
        optimiser, learning_rate, weight_decay, schedule, warmup, clip, ema_decay: see
            :class:`lgnet_core.training.module.Optimisation`. The paper's: adam, 1e-4, 0, paper.
        losses: ``default``, ``joints`` or ``paper``, see :class:`lgnet_core.training.losses.config.LossWeights`;
            ``direct``, see :mod:`lgnet_core.training.losses.auxiliary`; ``heatmaps`` for InterShape's first phase; all
            of them: :data:`lgnet_core.training.losses.config.LOSS_PRESETS`.
        augment: turn, scale, shift and recolour the training images at random.
        recolour: False: of that, only turn, scale and shift; colours and backgrounds stay.
        rotation: standard deviation of the in-plane turns, degrees; 0 keeps the uprightness that helps a short training
            to tell right from left.
        flip: mirror half of them too, if the hand model's left hand is the mirror image of its right one.
        validation: images held out, of several sets by their weights: the last ones of a stored set, InterHand2.6M's
            val split, generated ones from another seed.
        refine: False trains the joint and mesh stages alone, a third faster on a CPU; give the result as ``initial`` of
            a training of the whole network, whose refine stage then starts from offsets of 0.
        initial: ``pretrained`` (the backbone's weights, see :func:`lgnet_core.network.load_pretrained`), a ``.pth``
            file of them (torchvision's ResNet-50), ``random``, or a ``.safetensors`` file to go on from.
        freeze_heatmaps: leave InterShape's heatmap network as ``initial`` has it, a file of a training with the losses
            ``heatmaps``: as its authors train. Without it the two are trained together.
        freeze_early: leave the backbone's layers up to stride 4 as they start: a third less work a step on a CPU.
        freeze_backbone: leave the landmark network of a network of one crop per hand as ``initial`` has it, and train
            what follows it. Its features of stored sets are computed once and kept beside the set.
        train_deep: with freeze_backbone, train the landmark network's layers after stride 16 all the same, at a tenth
            of the learning rate, and so its landmarks, presence and side.
        resume: ``auto`` (from the run's folder, if it was begun), ``never``, or a ``.ckpt`` file. Only resume what you
            wrote yourself: a ``.ckpt`` is a pickle, although it is read without running code.
        device: ``auto``, ``cpu``, ``cuda``. devices: how many; torchrun says it instead, for several nodes too.
        precision: ``auto`` (bfloat16 with CUDA, else single), or Lightning's name of one.
        threads: of torch on the CPU; 0 leaves its choice.
        workers: processes that read images; those that are generated come from the training process.
        seed: of weights, order and augmentation.
        progress: show the bar.
    """

    out: Path
    preset: str = "lgnet-hand"
    backbone: str | None = None
    data: str = SYNTHETIC
    root: Path | None = None
    annotation: str = "H+M"
    subset: str = "all"
    hand_model: Path | None = None
    size: int = 256
    batch_size: int = 32
    accumulate: int = 1
    steps: int = 100_000
    epochs: float = 0.0
    epoch_steps: int = 500
    max_minutes: float = 0.0
    optimiser: str = "adamw"
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    schedule: str = "cosine"
    warmup: int = 500
    clip: float = 1.0
    ema_decay: float = 0.999
    losses: str = "default"
    augment: bool = True
    recolour: bool = True
    rotation: float = 30.0
    flip: bool = True
    refine: bool = True
    validation: int = 256
    initial: str = "pretrained"
    freeze_heatmaps: bool = False
    freeze_early: bool = False
    freeze_backbone: bool = False
    train_deep: bool = False
    resume: str = "auto"
    device: str = "auto"
    devices: int = 1
    precision: str = "auto"
    threads: int = 0
    workers: int = 0
    seed: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        if self.size % 32 or self.size <= 0:
            raise ValueError(f"size {self.size}: give a positive multiple of 32, e.g. 128, 160 or 256")
        if self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(
                f"device {self.device!r}: choose auto, cpu or cuda; which GPU is seen, CUDA_VISIBLE_DEVICES says"
            )
        for name in ("batch_size", "accumulate", "epoch_steps", "validation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: give at least 1")
        self.parts()
        self.optimisation()
        kind = self.network().kind
        loss_weights(self.losses, kind)
        if self.freeze_heatmaps and (kind != "intershape" or self.losses != "default"):
            raise ValueError("freeze_heatmaps: goes with the preset intershape and the losses default only")
        if self.freeze_backbone and kind != "lgnet-hand":
            raise ValueError("freeze_backbone: goes with the preset lgnet-hand only; freeze_early goes with any")
        if self.train_deep and not self.freeze_backbone:
            raise ValueError("train_deep: goes with freeze_backbone only; without it every layer is trained")
        names = [name for name, _ in self.parts()]
        if self.freeze_backbone and 0 < sum(name in (SYNTHETIC, INTERHAND26M) for name in names) < len(names):
            raise ValueError(
                f"data {self.data!r}: with freeze_backbone, stored sets are read as features, which do not mix with "
                f"images of {SYNTHETIC} or {INTERHAND26M}; store the former (lgnet synth), train on the latter apart"
            )
        if REALHANDS in names and not self.freeze_backbone:
            raise ValueError(f"data {REALHANDS}: its teacher is the frozen landmark network; give freeze_backbone too")
        if self.freeze_heatmaps and not self.initial.endswith(".safetensors"):
            raise ValueError(
                f"freeze_heatmaps: the heatmap network would stay as it starts (initial {self.initial!r}); train it "
                "first with the losses heatmaps, and give that training's weights.safetensors as initial"
            )

    def parts(self) -> list[tuple[str, float]]:
        """The sets that ``data`` names, with their weights."""
        parts = []
        for part in self.data.split(","):
            name, equals, text = part.strip().rpartition("=")
            try:
                weight = float(text) if equals else 1.0
            except ValueError:
                raise ValueError(f"data {part!r}: {text!r} is no weight; give NAME or NAME=WEIGHT") from None
            name = name if equals else text
            if not name or not 0 < weight < math.inf:
                raise ValueError(f"data {part!r}: give NAME or NAME=WEIGHT, with a weight above 0")
            parts.append((name, weight))
        return parts

    def network(self) -> NetworkConfig:
        """The network's configuration."""
        preset = find_config(self.preset)
        if self.backbone is not None:
            preset = replace(preset, backbone=self.backbone)
        if self.refine:
            return preset
        if not isinstance(preset, (LGNetConfig, HandLGNetConfig)):
            raise ValueError(f"refine False: {self.preset} has no refine stage to leave out; leave that out")
        return replace(preset, refine_stage=False)

    def optimisation(self) -> Optimisation:
        """The part that the module takes."""
        return Optimisation(
            optimiser=self.optimiser,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            steps=self.steps,
            warmup=self.warmup,
            clip=self.clip,
            ema_decay=self.ema_decay,
        )
