"""The Lightning module: one training step, the optimiser, the averaged weights and the validation figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytorch_lightning as lightning
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lgnet_core.data.augmentation import Augmentation, augment, resize
from lgnet_core.data.hand_pairs import CropJitter, cut_pairs, in_image, predict_pairs
from lgnet_core.data.sample import HandsBatch, HandsLabels
from lgnet_core.evaluation.protocol import WRIST_RAW
from lgnet_core.evaluation.validation import ValidationFigures
from lgnet_core.network import HandLGNet, HandsNetwork, HandsPrediction, IntermediateOutputs
from lgnet_core.network.per_hand.batching import HandFeatures, predict_both
from lgnet_core.training.feature_shards import FeatureBatch
from lgnet_core.training.losses.auxiliary import AuxiliaryHeads, auxiliary_loss
from lgnet_core.training.losses.config import LossWeights
from lgnet_core.training.losses.criterion import HandsLoss
from lgnet_core.training.losses.teacher import joints_2d, landmarker_terms, teacher_error, teacher_terms
from lgnet_core.training.losses.terms import masked_mean
from lgnet_core.training.schedule import learning_rate_factor

OPTIMISERS = ("adamw", "adam")

FEATURE_WEIGHTS = {"teacher": 20.0, "teacher_mesh": 20.0, "landmarks": 20.0, "hand_presence": 0.5, "hand_side": 0.5}
"""Of what is learnt from features besides the labels. At 5 % of a hand's size beyond the tolerance each of the first
three weighs as much as a cell of the 2.5D joints' term."""

LANDMARKER_RATE = 0.1
"""Learning rate of the landmark network over that of what follows it: it knows real hands already."""


@dataclass(frozen=True)
class Optimisation:
    """How the weights move.

    Args:
        optimiser: ``adamw``, or ``adam`` (paper).
        learning_rate: its base value (paper: 1e-4).
        weight_decay: of kernels and matrices; vectors do not decay.
        schedule: see :func:`lgnet_core.training.schedule.learning_rate_factor`.
        steps: of the whole training.
        warmup: first steps in which the learning rate rises.
        clip: largest norm of the gradient.
        ema_decay: of the averaged weights; it rises to this value over the first steps.
    """

    optimiser: str = "adamw"
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    schedule: str = "cosine"
    steps: int = 100_000
    warmup: int = 500
    clip: float = 1.0
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"optimiser {self.optimiser!r}: unknown; choose of {', '.join(OPTIMISERS)}")
        learning_rate_factor(self.schedule, self.steps, self.warmup)  # says what is wrong


class TrainingModule(lightning.LightningModule):
    """A network in training.

    Args:
        network: to be trained; its hand model makes the labels.
        optimisation: of its weights.
        weights: of the loss terms; None trains the backbone alone (:mod:`lgnet_core.training.losses.auxiliary`).
        augmentation: of the training images; None leaves them as they are.
        size: side of the images that the network sees; None for the data's.
        frozen: parts of the network that are left as they are, statistics included.
        steady: parts whose statistics are left as they are.
        only: the one part of it that is trained; None: all that is not frozen.
        seed: of the augmentation and of dropout. A step's draws depend on (seed, step, process) alone, so a resumed
            training goes on as if it had not stopped.

    ``average`` holds the averaged weights (exponential moving average, statistics included): validation and export
    use them.
    """

    def __init__(
        self,
        network: HandsNetwork,
        optimisation: Optimisation,
        weights: LossWeights | None,
        augmentation: Augmentation | None = None,
        size: int | None = None,
        seed: int = 0,
        frozen: Sequence[nn.Module] = (),
        steady: Sequence[nn.Module] = (),
        only: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.direct = self.criterion = None
        if weights is None:
            only = network.backbones()[0]
            self.direct = AuxiliaryHeads(only.deep_channels)
        else:
            self.criterion = HandsLoss(network.hand_model, weights, network.config.depth_box)
        if only is not None:
            network.requires_grad_(False)
            only.requires_grad_(True)
        self._steady = [*frozen, *steady]
        for part in frozen:
            part.requires_grad_(False)
        self.average = AveragedModel(
            network, multi_avg_fn=rising_average(optimisation.ema_decay), use_buffers=True
        ).requires_grad_(False)
        self.validation = ValidationFigures()
        self.optimisation, self.augmentation, self.size, self.seed = optimisation, augmentation, size, seed
        self._steps_averaged = self._batches_of_step = 0
        self.learning_rate_factor = learning_rate_factor(optimisation.schedule, optimisation.steps, optimisation.warmup)

    def predict(
        self, sample: HandsBatch | FeatureBatch, labels: HandsLabels, network: HandsNetwork, training: bool
    ) -> tuple[HandsPrediction, IntermediateOutputs | None]:
        """A network's prediction in the images of a batch, and what only its losses look at, in single precision.

        Args:
            labels: of the batch; a network of one crop per hand is given crops around the true joints.
            training: whether these crops are moved at random.
        """
        cascade = None
        if isinstance(sample, FeatureBatch):
            assert isinstance(network, HandLGNet)
            prediction, _ = predict_features(network, sample)
        elif isinstance(network, HandLGNet):
            jitter = CropJitter() if training and self.augmentation is not None else None
            pairs = cut_pairs(sample, labels.joints_2d, jitter, self._generator() if training else None)
            prediction = predict_pairs(network, pairs, sample.image.shape[-1])
        else:
            prediction, cascade = network.forward_intermediates(self._image(sample), sample.intrinsics)
        single = HandsPrediction(*(x.float() for x in prediction))
        return single, None if cascade is None else IntermediateOutputs(*(x.float() for x in cascade))

    def _image(self, batch: HandsBatch) -> Tensor:
        image = batch.image.float() / 255
        weight = next(p for p in self.network.parameters() if p.ndim == 4)
        if weight.is_contiguous(memory_format=torch.channels_last):
            image = image.contiguous(memory_format=torch.channels_last)
        return image

    def training_step(self, sample: HandsBatch | FeatureBatch, batch_index: int) -> Tensor:
        with torch.no_grad():
            if isinstance(sample, FeatureBatch):
                batch = sample.batch
            else:
                batch = sample if self.size is None else resize(sample, self.size)
                if self.augmentation is not None:
                    batch = augment(batch, self._generator(), self.network.hand_model, self.augmentation)
                sample = batch
            labels = batch.labels(self.network.hand_model)
        if self.direct is not None:
            total = self._auxiliary_step(self.direct, self.network, batch, labels, "train")
        else:
            assert self.criterion is not None
            total = self._whole_step(self.criterion, sample, batch, labels)
        self.log("train/total", total, prog_bar=True)
        self.log("train/learning_rate", self._learning_rate())
        self.log("step", float(self.global_step))  # Lightning's own count slips by one when a training is resumed
        return total

    def _whole_step(
        self, criterion: HandsLoss, sample: HandsBatch | FeatureBatch, batch: HandsBatch, labels: HandsLabels
    ) -> Tensor:
        if isinstance(sample, FeatureBatch):
            assert isinstance(self.network, HandLGNet)
            prediction, features = predict_features(self.network, sample)
            total, terms = criterion(prediction, batch, labels)
            more = teacher_terms(prediction, batch, sample.teacher)
            if any(p.requires_grad for p in self.network.landmarker.parameters()):
                more |= landmarker_terms(self.network.landmarker, features, sample, labels)
            total = total + sum(FEATURE_WEIGHTS[name] * term for name, term in more.items())
            terms |= more
        else:
            prediction, cascade = self.predict(sample, labels, self.network, training=True)
            with torch.autocast(batch.image.device.type, enabled=False):
                total, terms = criterion(prediction, batch, labels, cascade)
        self.log_dict({f"train/{name}": term for name, term in terms.items()})
        mesh = (prediction.vertices.detach(), prediction.joints.detach())
        error = WRIST_RAW.errors(*mesh, labels.vertices, labels.joints)
        self.log("train/mpvpe_mm", masked_mean(error, batch.presence), prog_bar=True)
        return total

    def _auxiliary_step(
        self, heads: AuxiliaryHeads, network: HandsNetwork, batch: HandsBatch, labels: HandsLabels, stage: str
    ) -> Tensor:
        """The backbone's step; logs which part of the single hands has the right side."""
        deep = network.backbones()[0](self._image(batch))[1]
        with torch.autocast(batch.image.device.type, enabled=False):
            guess = heads(deep)
            loss = auxiliary_loss(guess, batch, labels, network.config.depth_box)
        single = batch.presence.sum(1) == 1
        if single.any():
            right = guess.presence_logits.argmax(1) == batch.presence.float().argmax(1)
            self.log(f"{stage}/side", masked_mean(right.float(), single), batch_size=int(single.sum()), prog_bar=True)
        return loss

    def on_train_start(self) -> None:
        self._steps_averaged = self.global_step
        # Here, not as an epoch starts: Lightning does not say so of the epoch in the middle of which it resumes, and
        # after each validation it restores the modes by itself.
        self.average.eval()
        for part in self._steady:
            part.eval()

    def on_train_batch_start(self, batch: Any, batch_index: int) -> None:
        torch.manual_seed(self._batch_seed())  # of dropout
        # Set from the step, not by a scheduler with a state: a resumed training follows the schedule it is given.
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = self._learning_rate() * group["lr_scale"]

    def _learning_rate(self) -> float:
        return self.optimisation.learning_rate * self.learning_rate_factor(self.global_step)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_index: int) -> None:
        self._batches_of_step += 1
        if self.global_step > self._steps_averaged:  # the gradients of several batches may make one step
            self.average.update_parameters(self.network)
            self._steps_averaged, self._batches_of_step = self.global_step, 0

    def validation_step(self, sample: HandsBatch | FeatureBatch, batch_index: int) -> None:
        if isinstance(sample, FeatureBatch):
            batch = sample.batch
        else:
            sample = batch = sample if self.size is None else resize(sample, self.size)
        labels = batch.labels(self.network.hand_model)
        self.log("step", float(self.global_step))
        if self.direct is not None:
            averaged = cast(HandsNetwork, self.average.module.eval())
            loss = self._auxiliary_step(self.direct, averaged, batch, labels, "val")
            self.log("val/direct", loss, batch_size=len(batch))
            return
        averaged = cast(HandsNetwork, self.average.eval().module)
        prediction, _ = self.predict(sample, labels, averaged, training=False)
        self.validation.update(prediction, batch, labels)
        if isinstance(sample, FeatureBatch):
            error, known = teacher_error(joints_2d(prediction, batch), sample.teacher)
            if known.any():
                self.log("val/teacher_percent", 100 * error[known].mean(), batch_size=int(known.sum()))

    def on_validation_epoch_end(self) -> None:
        if self.direct is None:
            for name, value in self.validation.compute().items():
                self.log(f"val/{name}", value, sync_dist=True, prog_bar=name == "mpvpe_mm")

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Clip the gradient's norm; a step whose gradient is not finite is left out."""
        parameters = [p for p in self.parameters() if p.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.optimisation.clip)
        finite = bool(torch.isfinite(norm))
        if not finite:
            for p in parameters:
                p.grad = None
        self.log("train/gradient_norm", norm if finite else torch.zeros_like(norm))
        self.log("train/left_out", float(not finite))

    def configure_optimizers(self) -> Any:
        settings = self.optimisation
        landmarker = self.network.landmarker.parameters() if isinstance(self.network, HandLGNet) else ()
        pretrained = {id(p) for p in landmarker}
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for p in self.parameters():
            if p.requires_grad:
                groups.setdefault((id(p) in pretrained, p.ndim > 1), []).append(p)
        kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[settings.optimiser]
        return kind(
            [
                {
                    "params": parameters,
                    "weight_decay": settings.weight_decay if matrices else 0.0,
                    "lr_scale": LANDMARKER_RATE if slow else 1.0,
                }
                for (slow, matrices), parameters in groups.items()
            ],
            lr=settings.learning_rate,
            fused=True,
        )

    def transfer_batch_to_device(self, batch: Any, device: torch.device, index: int) -> Any:
        return batch.to(device)

    def _generator(self) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(self._batch_seed())

    def _batch_seed(self) -> int:
        """Differs for each batch of each process, and does not depend on where the training was resumed."""
        batches = self.global_step * self.trainer.accumulate_grad_batches + self._batches_of_step
        position = batches * self.trainer.world_size + self.global_rank
        return (self.seed * 1_000_003 + position) % 2**63


def predict_features(network: HandLGNet, sample: FeatureBatch) -> tuple[HandsPrediction, HandFeatures]:
    """A prediction from cached maps, in the images, and what the landmark network makes of these."""
    features = network.encode_maps(sample.early, sample.middle, sample.given)
    prediction = predict_both(network.stages, features, sample.intrinsics, sample.frames, sample.given)
    return in_image(prediction, sample.affine, sample.batch.image.shape[-1]), features


def rising_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Exponential moving average whose decay starts low, min(decay, (1 + n) / (10 + n)), for torch's AveragedModel.

    Values that are no floating-point numbers (counters, index tables) are copied: an average would round them.
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        if averaged[0].is_floating_point():
            n = float(count)
            torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))
        else:
            torch._foreach_copy_(averaged, current)

    return update
