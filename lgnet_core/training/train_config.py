"""Configuration of a training."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from lgnet_core.network import HandLGNetConfig, LGNetConfig, NetworkConfig, find_config
from lgnet_core.training.losses.config import loss_weights
from lgnet_core.training.optimisation import Optimisation

SYNTHETIC, INTERHAND26M, FREIHAND, REALHANDS = "synthetic", "interhand26m", "freihand", "realhands"
ANNOTATED = (INTERHAND26M, FREIHAND)
"""Public data sets with MANO fits."""
LAST = "last.ckpt"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class TrainConfig:
    """Configuration of a training; the command line options of ``lgnet train``.

    Args:
        out: output folder: logs, ``last.ckpt`` (to resume), ``weights.safetensors`` (averaged weights, for inference).
        preset: network preset, see :func:`lgnet_core.network.find_config`.
        backbone: replaces the preset's backbone, to compare networks on the same one; None: the preset's.
        data: data sources, comma-separated, with optional weights: ``interhand26m=0.7,/sets/synthetic=0.3``.
            ``synthetic``: images generated during the training.
            ``interhand26m``, ``freihand``: the training split, in ``root``; needs the MANO model of its fits as
            ``hand_model``.
            A folder: a stored set of ``lgnet synth``.
            ``realhands``: unlabelled real images, in ``root``, with ``freeze_backbone``: the frozen landmark network
            teaches the stages after it, see :mod:`lgnet_core.training.features.teacher_cache`.
        root: folder of InterHand2.6M, of FreiHAND or of the real images.
        annotation, subset: images of InterHand2.6M, see :class:`lgnet_core.data.interhand26m.InterHand26M`.
        hand_model: folder of a converted MANO model; None for the bundled hand model.
        size: side of the network's input images, a multiple of 32.
        batch_size: images per device and batch.
        accumulate: gradient accumulation: a step uses batch_size x accumulate x devices images.
        steps: optimiser steps of the whole training.
        epochs: passes over the data, instead of ``steps``; 0: use ``steps``.
        epoch_steps: steps between two validations, checkpoints and exports.
        max_minutes: save and stop after this wall-clock time; 0: no limit.
        optimiser, learning_rate, weight_decay, schedule, warmup, clip, ema_decay: see
            :class:`lgnet_core.training.optimisation.Optimisation`. The paper uses adam, 1e-4, 0 and the schedule paper.
        losses: loss preset: ``default``, ``joints`` or ``paper``, see
            :class:`lgnet_core.training.losses.config.LossWeights`; ``auxiliary``, see
            :mod:`lgnet_core.training.losses.auxiliary`; ``heatmaps`` (InterShape's first phase); or another of
            :data:`lgnet_core.training.losses.config.LOSS_PRESETS`.
        augment: geometric and photometric augmentation of the training images.
        recolour: False: geometric augmentation only; colours and backgrounds are unchanged.
        rotation: standard deviation of the in-plane rotation, degrees. 0 keeps hands upright, which helps a short
            training to learn handedness.
        flip: mirror half of the images, if the hand model's left hand is the mirror image of its right hand.
        validation: number of held-out images, divided among several sources by their weights: the last ones of a stored
            set, InterHand2.6M's val split, or images generated with another seed.
        refine: False: train the joint and mesh stages only, a third faster on a CPU. Use the result as ``initial`` of a
            training of the whole network, whose refine stage then starts with zero offsets.
        initial: initial weights: ``pretrained`` (of the backbone, see :func:`lgnet_core.network.load_pretrained`),
            ``random``, a ``.pth`` file of the backbone (torchvision's ResNet-50), or a ``.safetensors`` file.
        freeze_heatmaps: freeze InterShape's heatmap network, which ``initial`` must have trained with the losses
            ``heatmaps``, as its authors do. Otherwise both parts are trained jointly.
        freeze_early: freeze the backbone up to stride 4: a third less time per step on a CPU.
        freeze_backbone: freeze the landmark network of a per-hand network and train the stages after it. The features
            of stored sets are computed once and cached in the folder of the set.
        train_deep: with freeze_backbone, train the landmark network's layers after stride 16 nevertheless, at a tenth
            of the learning rate, and with them its landmarks, presence and handedness.
        thaw_steps: with train_deep, see :class:`lgnet_core.training.optimisation.Optimisation`.
        dense_supervision: with freeze_backbone, supervise segmentation and depth of each hand's crop too, see
            :mod:`lgnet_core.training.losses.dense`.
        resume: ``auto`` (from the output folder, if it has a checkpoint), ``never``, or a ``.ckpt`` file. Resume only
            your own checkpoints: a ``.ckpt`` is a pickle, although it is loaded without executing code.
        device: ``auto``, ``cpu`` or ``cuda``.
        devices: number of devices per node; torchrun overrides it, also for several nodes.
        precision: ``auto`` (bfloat16 with CUDA, else single precision), or one of Lightning's precision names.
        threads: CPU threads of torch; 0: torch's default.
        workers: data loader processes. Generated images always come from the training process.
        seed: seed of initialisation, sampling and augmentation.
        progress: show a progress bar.

    Raises:
        ValueError: if a value is invalid, or the settings contradict each other.
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
    thaw_steps: int = 0
    dense_supervision: bool = False
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
            raise ValueError(f"size {self.size}: expected a positive multiple of 32, e.g. 128, 160 or 256")
        if self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(
                f"device {self.device!r}: choose auto, cpu or cuda; select a GPU with CUDA_VISIBLE_DEVICES"
            )
        for name in ("batch_size", "accumulate", "epoch_steps", "validation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")
        self.optimisation()
        kind = self.network().kind
        loss_weights(self.losses, kind)
        self._check_frozen_parts(kind)

    def _check_frozen_parts(self, kind: str) -> None:
        names = [name for name, _ in self.components()]
        if self.freeze_heatmaps and (kind != "intershape" or self.losses != "default"):
            raise ValueError("freeze_heatmaps: requires the preset intershape and the losses default")
        if self.freeze_heatmaps and not self.initial.endswith(".safetensors"):
            raise ValueError(
                f"freeze_heatmaps: the heatmap network would remain untrained (initial {self.initial!r}); train it "
                "first with the losses heatmaps, and give that training's weights.safetensors as initial"
            )
        if self.freeze_backbone and kind != "lgnet-hand":
            raise ValueError("freeze_backbone: requires the preset lgnet-hand; freeze_early works with any preset")
        if self.train_deep and not self.freeze_backbone:
            raise ValueError("train_deep: requires freeze_backbone; without it every layer is trained")
        if self.thaw_steps and not self.train_deep:
            raise ValueError("thaw_steps: requires train_deep, whose layers it unfreezes one after the other")
        if self.dense_supervision and not self.freeze_backbone:
            raise ValueError("dense_supervision: requires freeze_backbone, since it is computed from cached features")
        if self.freeze_backbone and 0 < sum(name in (SYNTHETIC, *ANNOTATED) for name in names) < len(names):
            raise ValueError(
                f"data {self.data!r}: with freeze_backbone, stored sets are read as cached features, which cannot be "
                f"mixed with images of {', '.join((SYNTHETIC, *ANNOTATED))}; store the former (lgnet synth), or train "
                "on the latter separately"
            )
        if REALHANDS in names and not self.freeze_backbone:
            raise ValueError(f"data {REALHANDS}: its teacher is the frozen landmark network; set freeze_backbone")

    def components(self) -> list[tuple[str, float]]:
        """Names and weights of the data sources in ``data``."""
        components = []
        for item in self.data.split(","):
            name, equals, text = item.strip().rpartition("=")
            try:
                weight = float(text) if equals else 1.0
            except ValueError:
                raise ValueError(f"data {item!r}: {text!r} is not a weight; expected NAME or NAME=WEIGHT") from None
            name = name if equals else text
            if not name or not 0 < weight < math.inf:
                raise ValueError(f"data {item!r}: expected NAME or NAME=WEIGHT, with a weight above 0")
            components.append((name, weight))
        return components

    def network(self) -> NetworkConfig:
        """Configuration of the network."""
        preset = find_config(self.preset)
        if self.backbone is not None:
            preset = replace(preset, backbone=self.backbone)
        if self.refine:
            return preset
        if not isinstance(preset, (LGNetConfig, HandLGNetConfig)):
            raise ValueError(f"refine False: {self.preset} has no refine stage; remove this option")
        return replace(preset, refine_stage=False)

    def optimisation(self) -> Optimisation:
        """Settings of the optimiser."""
        return Optimisation(
            optimiser=self.optimiser,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            steps=self.steps,
            warmup=self.warmup,
            clip=self.clip,
            ema_decay=self.ema_decay,
            thaw_steps=self.thaw_steps,
        )
