"""Training of the region detector: full synthetic pictures, drawn once and kept in memory, changed anew every time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as lightning
import torch
import torch.nn.functional as F
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lgnet_core.camera import project
from lgnet_core.checkpoint import load_region_net, save_region_net
from lgnet_core.data.photometry import Photometry, distort_images
from lgnet_core.data.synthetic.generator import GENERATOR_VERSION, SyntheticHands
from lgnet_core.evaluation.regions import RegionFigures
from lgnet_core.hand_model import HandModel, load_hand_model
from lgnet_core.network.palm_net import load_palm_net
from lgnet_core.network.region_net import (
    REGION_IMAGE_SIZE,
    REGION_THRESHOLD,
    RegionMaps,
    RegionNet,
    decode_hands,
    region_loss,
)
from lgnet_core.training.callbacks import Progress, current_commit, quieten
from lgnet_core.training.schedule import learning_rate_factor
from lgnet_core.training.stream import Draw, Share, StepSampler
from lgnet_core.types import MIDDLE_MCP, WRIST

ASPECTS = ((256, 192), (256, 144), (192, 256))
"""Widths and heights of the pictures inside the square, pixels: 4:3, 16:9 and upright."""
COLOURS = Photometry()
BOX_WEIGHT = 2.0
"""Of the boxes' loss beside the palms'."""
WEIGHTS = "regions.safetensors"
UNFINISHED, SAVED_STEPS = "unfinished.ckpt", 200
"""Where a training that was stopped goes on from, and after how many steps that is written anew."""
HELD_OUT, HELD_OUT_SEED = 960, 777
"""Pictures to judge a net by, and how far their seed is from the training's."""


@dataclass(frozen=True)
class RegionTrainConfig:
    """What is drawn and how long is trained.

    Args:
        out: folder of the drawn pictures and logs.
        count: pictures to draw.
        seed: of the pictures.
        steps, batch_size, learning_rate, weight_decay: of AdamW with warm-up and cosine decay.
        initial: weights of an earlier training to go on from; None: MediaPipe's palm detector.
        augment: whether the pictures are moved, scaled and recoloured besides being mirrored. A net of this size is not
            overfitted to some thousand pictures; it ends better if it last learns from pictures as they are.
    """

    out: Path
    count: int = 16_000
    seed: int = 0
    steps: int = 2_500
    batch_size: int = 32
    learning_rate: float = 6e-4
    weight_decay: float = 1e-2
    initial: Path | None = None
    augment: bool = True


class RegionPictures(NamedTuple):
    """Letter-boxed pictures, the middle of each palm, between wrist and middle MCP, and the box around what is in the
    picture of each hand.

    Shapes:
        image: (N, 3, S, S) uint8; palms: (N, 2, 2) pixels, in the box; boxes: (N, 2, 4) left, top, right, bottom,
        pixels; presence: (N, 2) bool.
    """

    image: Tensor
    palms: Tensor
    boxes: Tensor
    presence: Tensor

    def take(self, index: Tensor) -> RegionPictures:
        """Some of the pictures."""
        return RegionPictures(*(x[index] for x in self))


def draw_region_pictures(generator: SyntheticHands, indices: Tensor, width: int, height: int) -> RegionPictures:
    """Full pictures, letter-boxed into the detector's square; boxes hold what the picture shows of the meshes.

    Args:
        indices: (B,) picture indices. width, height: of the pictures in the square, pixels; the longer one is
            ``REGION_IMAGE_SIZE``.
    """
    batch = generator.pictures(indices, width, height)
    labels = batch.labels(generator.hand_model)
    left, top = (REGION_IMAGE_SIZE - width) // 2, (REGION_IMAGE_SIZE - height) // 2
    limit, shift = (labels.vertices.new_tensor(pair) for pair in ([width - 1, height - 1], [left, top]))

    def seen(points: Tensor) -> Tensor:
        pixels = project(points, batch.intrinsics[:, None], min_depth=0.05)
        return torch.minimum(pixels.clamp_min(0), limit) + shift

    outline, palm = seen(labels.vertices), labels.joints[:, :, [WRIST, MIDDLE_MCP]].mean(2, keepdim=True)
    return RegionPictures(
        image=F.pad(batch.image, (left, REGION_IMAGE_SIZE - width - left, top, REGION_IMAGE_SIZE - height - top)),
        palms=seen(palm)[:, :, 0],
        boxes=torch.cat([outline.amin(2), outline.amax(2)], -1),
        presence=batch.presence,
    )


def prepare_pictures(config: RegionTrainConfig, hand_model: HandModel) -> RegionPictures:
    """Draw the training pictures, or read those an earlier run drew."""
    drawn = f"v{GENERATOR_VERSION}_{hand_model.digest[:8]}_{REGION_IMAGE_SIZE}_{config.seed}_{config.count}"
    path = config.out / f"regions_{drawn}.safetensors"
    if not path.exists():
        generator = SyntheticHands(config.seed, hand_model)
        parts = []
        for k, indices in enumerate(track(torch.arange(config.count).split(32), "drawing pictures")):
            parts.append(draw_region_pictures(generator, indices, *ASPECTS[k % len(ASPECTS)]))
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = (torch.cat(field) for field in zip(*parts))
        save_file(dict(zip(RegionPictures._fields, tensors)), path)
    return RegionPictures(**load_file(path))


class _ChangedPictures(Dataset[RegionPictures]):
    """Batches, changed at random: what comes is a function of the draws alone."""

    def __init__(self, pictures: RegionPictures, seed: int, augment: bool) -> None:
        self.pictures, self.seed, self.augment = pictures, seed, augment

    def __getitems__(self, draws: list[Draw]) -> RegionPictures:
        generator = torch.Generator().manual_seed(hash((self.seed, *draws[0])))
        taken = self.pictures.take(torch.tensor([draw.picture for draw in draws]))
        return change(taken, generator, COLOURS if self.augment else None, moves=self.augment)


def change(
    pictures: RegionPictures, generator: torch.Generator, settings: Photometry | None = COLOURS, *, moves: bool = True
) -> RegionPictures:
    """Mirror, move and scale by up to a third (``moves``), and recolour at random (None: colours stay)."""
    count = len(pictures.image)
    flip = torch.rand(count, generator=generator) < 0.5
    scale, shift = torch.ones(count), torch.zeros(count, 2)
    if moves:
        scale = torch.exp((torch.rand(count, generator=generator) * 2 - 1) * math.log(1.35))
        shift = (torch.rand(count, 2, generator=generator) * 2 - 1) * 0.15
    # grid_sample asks where each output pixel comes from: normalised x_in = (x_out - shift) / scale, mirrored
    sign = torch.where(flip, -1.0, 1.0)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = sign / scale, 1 / scale
    theta[:, 0, 2], theta[:, 1, 2] = -sign * shift[:, 0] / scale, -shift[:, 1] / scale
    size = pictures.image.shape[-1]
    grid = F.affine_grid(theta, [count, 3, size, size], align_corners=False)
    image = F.grid_sample(pictures.image.float() / 255, grid, align_corners=False)

    def moved(points: Tensor) -> Tensor:
        centred = (points - (size - 1) / 2) * torch.stack([sign, torch.ones(count)], -1)[:, None]
        return (centred * scale[:, None, None] + (shift * (size / 2))[:, None]) + (size - 1) / 2

    corners = torch.stack([moved(pictures.boxes[..., :2]), moved(pictures.boxes[..., 2:])])  # mirrored: right to left
    whole = torch.cat([corners.amin(0), corners.amax(0)], -1)
    boxes = whole.clamp(0, size - 1)
    extent, full_extent = ((box[..., 2:] - box[..., :2]).amin(-1) for box in (boxes, whole))
    presence = pictures.presence & (extent > 0.4 * full_extent) & (extent > 2)
    image = image if settings is None else distort_images(image, generator, settings)
    return RegionPictures(image, moved(pictures.palms).clamp(0, size - 1), boxes, presence)


class RegionModule(lightning.LightningModule):
    """One step: focal loss of the palms plus weighted generalised-IoU loss of the boxes.

    The body up to stride 4 stays as MediaPipe's: less work a step.
    """

    def __init__(self, config: RegionTrainConfig, net: RegionNet) -> None:
        super().__init__()
        self.config, self.net = config, net
        self.frozen = torch.nn.ModuleList(net.body.early_layers())
        self.frozen.requires_grad_(False)

    def training_step(self, batch: RegionPictures, _: int) -> Tensor:
        image = batch.image.contiguous(memory_format=torch.channels_last)
        maps = RegionMaps(*(x.float() for x in self.net(image)))
        palm, box = region_loss(maps, batch.palms, batch.boxes, batch.presence)
        self.log_dict({"palm": palm, "box": box}, prog_bar=True)
        return palm + BOX_WEIGHT * box

    def configure_optimizers(self) -> Any:
        config = self.config
        trained = [p for p in self.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, config.learning_rate, weight_decay=config.weight_decay)
        factor = learning_rate_factor("cosine", config.steps, min(200, config.steps // 10))
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["settings"] = _plain(self.config)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        now = _plain(self.config)
        # an older checkpoint lacks younger settings, whose defaults are what was done then
        before = _plain(RegionTrainConfig(self.config.out)) | checkpoint["settings"]
        other = [name for name in now if name != "out" and before[name] != now[name]]
        if other:
            raise ValueError(
                f"{self.config.out / UNFINISHED}: of a training with {other[0]}={before[other[0]]!r}, now "
                f"{now[other[0]]!r} is asked; give the same to go on with it, or delete the file to begin anew"
            )


def train_regions(config: RegionTrainConfig, hand_model: HandModel | None = None) -> RegionNet:
    """Train the region detector, or go on with a training that was stopped; the net comes back in evaluation mode.

    Raises:
        ValueError: if the training that was stopped had other settings.
    """
    quieten()
    lightning.seed_everything(config.seed, verbose=False)
    hand_model = load_hand_model() if hand_model is None else hand_model
    pictures = prepare_pictures(config, hand_model)
    net = RegionNet(load_palm_net()) if config.initial is None else load_region_net(config.initial)[0]
    net = net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    unfinished = config.out / UNFINISHED
    trainer = lightning.Trainer(
        max_steps=config.steps,
        limit_train_batches=SAVED_STEPS,
        accelerator="auto",
        precision="bf16-mixed" if computes_bfloat16() else "32-true",
        logger=CSVLogger(config.out, "regions"),
        callbacks=[
            ModelCheckpoint(
                config.out, filename=unfinished.stem, save_on_train_epoch_end=True, enable_version_counter=False
            ),
            Progress(config.steps),
        ],
        enable_model_summary=False,
        gradient_clip_val=5.0,
        log_every_n_steps=min(20, SAVED_STEPS),
    )
    sampler = StepSampler(
        [Share(len(pictures.image))], config.batch_size, SAVED_STEPS, lambda: trainer.global_step, config.seed
    )
    batches: DataLoader[RegionPictures] = DataLoader(
        _ChangedPictures(pictures, config.seed, config.augment),
        batch_sampler=sampler,  # of draws, which are no plain numbers
        collate_fn=lambda batch: batch,
    )
    resume = unfinished if unfinished.exists() else None
    trainer.fit(RegionModule(config, net), batches, ckpt_path=resume, weights_only=True)
    return net.cpu().eval()


def train_and_save(config: RegionTrainConfig, hand_model: HandModel | None = None) -> Path:
    """What ``lgnet train-regions`` does: train, judge on pictures of another seed, write ``regions.safetensors``."""
    current_commit()  # remembered: the code that trains, whatever is committed meanwhile
    hand_model = load_hand_model() if hand_model is None else hand_model
    path = save(config, train_regions(config, hand_model), hand_model)
    (config.out / UNFINISHED).unlink()  # only now is nothing lost by it
    return path


def save(config: RegionTrainConfig, net: RegionNet, hand_model: HandModel) -> Path:
    """Judge a net on pictures that it never saw and write it with these figures."""
    held_out = replace(config, count=HELD_OUT, seed=config.seed + HELD_OUT_SEED)
    figures = evaluate_regions(net, prepare_pictures(held_out, hand_model))
    path = config.out / WEIGHTS
    save_region_net(path, net, {"training": _plain(config), "commit": current_commit(), "figures": figures})
    return path


def computes_bfloat16() -> bool:
    """Whether the device that a training takes by itself computes bfloat16.

    A CPU that does not is four times slower in it than in single precision (a 3x3 convolution of 64 channels and its
    gradient, AVX2). Older versions of PyTorch cannot tell; then a CPU does not.
    """
    if torch.cuda.is_available():
        return True
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _plain(config: RegionTrainConfig) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(config).items()}


@torch.no_grad()
def evaluate_regions(net: RegionNet, pictures: RegionPictures, threshold: float = REGION_THRESHOLD) -> dict[str, float]:
    """See :class:`lgnet_core.evaluation.regions.RegionFigures`."""
    figures = RegionFigures(threshold)
    for k in range(0, len(pictures.image), 64):
        part = pictures.take(torch.arange(k, min(k + 64, len(pictures.image))))
        figures.update(decode_hands(net(part.image.float() / 255)), part.boxes, part.presence)
    return {name: float(value) for name, value in figures.compute().items()}
