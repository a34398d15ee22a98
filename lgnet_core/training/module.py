"""Lightning module: training and validation steps, optimiser and weight averaging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytorch_lightning as lightning
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lgnet_core.data.augmentation import Augmentation, augment, resize
from lgnet_core.data.hand_pairs import CropJitter, crop_hand_pairs, predict_pairs, uncrop_prediction
from lgnet_core.data.sample import HandsBatch, HandsLabels
from lgnet_core.evaluation.metrics.alignment import WRIST_RAW
from lgnet_core.evaluation.metrics.validation import ValidationMetrics
from lgnet_core.network import HandLGNet, HandsNetwork, HandsPrediction, IntermediateOutputs
from lgnet_core.network.per_hand.batching import predict_both
from lgnet_core.network.prediction import HandLandmarks
from lgnet_core.training.features.batch import FeatureBatch
from lgnet_core.training.losses.auxiliary import AuxiliaryHeads, auxiliary_loss
from lgnet_core.training.losses.config import LossWeights
from lgnet_core.training.losses.criterion import HandsLoss
from lgnet_core.training.losses.dense import DenseHead, dense_terms
from lgnet_core.training.losses.distillation import (
    distillation_terms,
    grid_joints_2d,
    landmarker_terms,
    pseudo_label_error,
)
from lgnet_core.training.losses.terms import masked_mean
from lgnet_core.training.optimisation import Optimisation, ema_update, set_learning_rate
from lgnet_core.training.schedule import learning_rate_factor

FEATURE_LOSS_WEIGHTS = {
    "teacher": 20.0,
    "teacher_mesh": 20.0,
    "landmarks": 20.0,
    "hand_presence": 0.5,
    "hand_side": 0.5,
    "segmentation": 0.5,
    "depth": 10.0,
}
"""Weights of the additional terms of cached features. At an error of 5 % of the hand size beyond the tolerance, each of
the first three contributes as much as one cell of the joint_grid term. The depth, in metres, weighs as much as the mesh
terms."""


class TrainingModule(lightning.LightningModule):
    """Trains a network.

    Args:
        network: network to train; its hand model computes the labels.
        optimisation: optimiser and schedule.
        weights: weights of the loss terms; None trains the backbone alone with auxiliary heads
            (:mod:`lgnet_core.training.losses.auxiliary`).
        augmentation: augmentation of the training images; None for none.
        size: side of the network's input images; None for the size of the data.
        seed: seed of augmentation and dropout. Random draws depend on (seed, step, process) only, so a resumed training
            is identical to an uninterrupted one.
        frozen: parts of the network whose parameters and normalisation statistics are frozen.
        frozen_statistics: parts of the network of which only the normalisation statistics are frozen.
        trainable: the only part of the network to train; None: everything that is not frozen.
        dense_supervision: supervise segmentation and depth too (:mod:`lgnet_core.training.losses.dense`); needs cached
            features.

    ``average`` holds the exponential moving average of weights and statistics, which is validated and exported.
    """

    # Lightning's EMAWeightAveraging is not used: it requires Lightning 2.6, its decay has no warm-up, it averages the
    # auxiliary heads too, and it stores the averaged weights under other checkpoint keys, so that checkpoints of
    # earlier versions could not be resumed.

    def __init__(
        self,
        network: HandsNetwork,
        optimisation: Optimisation,
        weights: LossWeights | None,
        augmentation: Augmentation | None = None,
        size: int | None = None,
        seed: int = 0,
        frozen: Sequence[nn.Module] = (),
        frozen_statistics: Sequence[nn.Module] = (),
        trainable: nn.Module | None = None,
        dense_supervision: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.direct: AuxiliaryHeads | None = None  # the auxiliary heads; the attribute's name is a checkpoint key
        self.criterion: HandsLoss | None = None
        if weights is None:
            trainable = network.backbones()[0]
            self.direct = AuxiliaryHeads(trainable.deep_channels)
        else:
            self.criterion = HandsLoss(network.hand_model, weights, network.config.depth_box)
        if trainable is not None:
            network.requires_grad_(False)
            trainable.requires_grad_(True)
        self._frozen_statistics = [*frozen, *frozen_statistics]
        for part in frozen:
            part.requires_grad_(False)
        self.dense_head: DenseHead | None = None
        if dense_supervision:
            assert isinstance(network, HandLGNet)
            self.dense_head = DenseHead(network.config.enhanced_channels)
        self.average = AveragedModel(
            network, multi_avg_fn=ema_update(optimisation.ema_decay), use_buffers=True
        ).requires_grad_(False)
        self.validation = ValidationMetrics()
        self.optimisation, self.augmentation, self.size, self.seed = optimisation, augmentation, size, seed
        self._averaged_step = self._accumulated_batches = 0
        self.learning_rate_factor = learning_rate_factor(optimisation.schedule, optimisation.steps, optimisation.warmup)

    def predict(
        self, sample: HandsBatch | FeatureBatch, labels: HandsLabels, network: HandsNetwork, training: bool
    ) -> tuple[HandsPrediction, IntermediateOutputs | None]:
        """Prediction in the full images of a batch, and the intermediate outputs for the losses; single precision.

        Args:
            labels: labels of the batch; per-hand networks receive crops around the ground-truth joints.
            training: whether these crops are jittered.
        """
        intermediate = None
        if isinstance(sample, FeatureBatch):
            assert isinstance(network, HandLGNet)
            prediction, *_ = predict_features(network, sample)
        elif isinstance(network, HandLGNet):
            jitter = CropJitter() if training and self.augmentation is not None else None
            pairs = crop_hand_pairs(sample, labels.joints_2d, jitter, self._generator() if training else None)
            prediction = predict_pairs(network, pairs, sample.image.shape[-1])
        else:
            prediction, intermediate = network.forward_intermediates(self._image(sample), sample.intrinsics)
        prediction = HandsPrediction(*(x.float() for x in prediction))
        if intermediate is None:
            return prediction, None
        return prediction, IntermediateOutputs(*(x.float() for x in intermediate))

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
            total = self._network_step(self.criterion, sample, batch, labels)
        self.log("train/total", total, prog_bar=True)
        self.log("train/learning_rate", self._learning_rate())
        self.log("step", float(self.global_step))  # Lightning's own step count is off by one after resuming
        return total

    def _network_step(
        self, criterion: HandsLoss, sample: HandsBatch | FeatureBatch, batch: HandsBatch, labels: HandsLabels
    ) -> Tensor:
        """Loss of the whole network."""
        if isinstance(sample, FeatureBatch):
            assert isinstance(self.network, HandLGNet)
            prediction, features, enhanced = predict_features(self.network, sample)
            total, terms = criterion(prediction, batch, labels)
            feature_terms = distillation_terms(prediction, batch, sample.teacher)
            if any(p.requires_grad for p in self.network.landmarker.parameters()):
                feature_terms |= landmarker_terms(self.network.landmarker, features, sample, labels)
            if self.dense_head is not None:
                feature_terms |= dense_terms(self.dense_head, enhanced, sample, labels, self.network.hand_model)
            total = total + sum(FEATURE_LOSS_WEIGHTS[name] * term for name, term in feature_terms.items())
            terms |= feature_terms
        else:
            prediction, intermediate = self.predict(sample, labels, self.network, training=True)
            with torch.autocast(batch.image.device.type, enabled=False):
                total, terms = criterion(prediction, batch, labels, intermediate)
        self.log_dict({f"train/{name}": term for name, term in terms.items()})
        mesh = (prediction.vertices.detach(), prediction.joints.detach())
        error = WRIST_RAW.errors(*mesh, labels.vertices, labels.joints)
        self.log("train/mpvpe_mm", masked_mean(error, batch.presence), prog_bar=True)
        return total

    def _auxiliary_step(
        self, heads: AuxiliaryHeads, network: HandsNetwork, batch: HandsBatch, labels: HandsLabels, stage: str
    ) -> Tensor:
        """Auxiliary loss of the backbone; logs the handedness accuracy on single hands."""
        deep = network.backbones()[0](self._image(batch))[1]
        with torch.autocast(batch.image.device.type, enabled=False):
            prediction = heads(deep)
            loss = auxiliary_loss(prediction, batch, labels, network.config.depth_box)
        single = batch.presence.sum(1) == 1
        if single.any():
            correct = prediction.presence_logits.argmax(1) == batch.presence.float().argmax(1)
            accuracy = masked_mean(correct.float(), single)
            self.log(f"{stage}/side", accuracy, batch_size=int(single.sum()), prog_bar=True)
        return loss

    def on_train_start(self) -> None:
        self._averaged_step = self.global_step
        # Not in on_train_epoch_start, which Lightning skips when it resumes in the middle of an epoch; after each
        # validation Lightning restores the modes itself.
        self.average.eval()
        for part in self._frozen_statistics:
            part.eval()

    def on_train_batch_start(self, batch: Any, batch_index: int) -> None:
        torch.manual_seed(self._batch_seed())  # dropout
        # Set from the step instead of by a stateful scheduler: a resumed training follows the schedule it is given.
        set_learning_rate(self.optimizers(), self._learning_rate(), self.global_step)  # type: ignore[arg-type]

    def _learning_rate(self) -> float:
        return self.optimisation.learning_rate * self.learning_rate_factor(self.global_step)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_index: int) -> None:
        self._accumulated_batches += 1
        if self.global_step > self._averaged_step:  # False while gradients are accumulated
            self.average.update_parameters(self.network)
            self._averaged_step, self._accumulated_batches = self.global_step, 0

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
            error, labelled = pseudo_label_error(grid_joints_2d(prediction, batch), sample.teacher)
            if labelled.any():
                self.log("val/teacher_percent", 100 * error[labelled].mean(), batch_size=int(labelled.sum()))

    def on_validation_epoch_end(self) -> None:
        if self.direct is None:
            for name, value in self.validation.compute().items():
                self.log(f"val/{name}", value, sync_dist=True, prog_bar=name == "mpvpe_mm")

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Clip the gradient norm; skip a step whose gradient is not finite."""
        parameters = [p for p in self.parameters() if p.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.optimisation.clip)
        finite = bool(torch.isfinite(norm))
        if not finite:
            for p in parameters:
                p.grad = None
        self.log("train/gradient_norm", norm if finite else torch.zeros_like(norm))
        self.log("train/left_out", float(not finite))

    def configure_optimizers(self) -> Any:
        blocks = self.network.landmarker.unfreezing_order() if isinstance(self.network, HandLGNet) else []
        return self.optimisation.build(self.parameters(), [list(block.parameters()) for block in blocks])

    def transfer_batch_to_device(self, batch: Any, device: torch.device, index: int) -> Any:
        return batch.to(device)

    def _generator(self) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(self._batch_seed())

    def _batch_seed(self) -> int:
        """Seed of a batch, unique among batches and processes and independent of interruptions of the training."""
        batches = self.global_step * self.trainer.accumulate_grad_batches + self._accumulated_batches
        position = batches * self.trainer.world_size + self.global_rank
        return (self.seed * 1_000_003 + position) % 2**63


def predict_features(network: HandLGNet, sample: FeatureBatch) -> tuple[HandsPrediction, HandLandmarks, Tensor]:
    """Prediction from cached feature maps, in the full images; the landmark network's outputs for these maps; and the
    enhanced maps F*_h."""
    features = network.encode_maps(sample.early, sample.middle, sample.given)
    prediction, enhanced = predict_both(network.stages, features, sample.intrinsics, sample.frames, sample.given)
    return uncrop_prediction(prediction, sample.affine, sample.batch.image.shape[-1]), features, enhanced
