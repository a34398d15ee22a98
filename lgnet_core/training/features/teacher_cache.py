"""Cached features of real images for self-training: augmented student images with the teacher's pseudo-labels.

The teacher, a pretrained landmark network, labels the clean images. The student sees the same hands recoloured,
blurred, in a jittered crop and partly occluded by copy-paste augmentation. The pseudo-labels include the occluded
joints: this teaches the appearance of real skin behind another hand, for which there are no annotations.

Source: Xie et al. 2020, "Self-training with Noisy Student improves ImageNet classification".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import cast

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from lgnet_core.data.hand_pairs import jitter_crops
from lgnet_core.data.photometry import distort_images
from lgnet_core.data.realhands import read_index
from lgnet_core.engines.base import Engine
from lgnet_core.engines.factory import make_engine
from lgnet_core.evaluation.end_to_end.contact_sheets import draw_tile
from lgnet_core.geometry.crops import crop_projection, letterbox
from lgnet_core.geometry.hand_crops import HandCrops, crops_from_joints
from lgnet_core.inference.camera import default_camera
from lgnet_core.inference.crops import extract_crops
from lgnet_core.io.files import InputError
from lgnet_core.io.interruption import on_interruption
from lgnet_core.io.output import make_folder
from lgnet_core.network.detector.hand_landmark import (
    HAND_CROP_SIZE,
    HandLandmarkNet,
    HandLandmarks,
    load_hand_landmark_net,
)
from lgnet_core.network.detector.palm_detector import load_palm_detector
from lgnet_core.synthetic.stored import StoredHands
from lgnet_core.training.features.batch import FEATURE_MAPS, FeatureBatch, cache_digest, unlabelled_batch
from lgnet_core.training.features.cache import require_feature_space
from lgnet_core.training.features.copy_paste import cut_out_hand, paste_occluders
from lgnet_core.training.features.negatives import MIRROR_PROBABILITY, mirror_crop, sample_background_crop
from lgnet_core.training.features.shards import GrowingShard, ShardReader, shard_length
from lgnet_core.training.features.teacher import PseudoLabel, Teacher, TeacherSettings
from lgnet_core.training.features.teacher_labels import ImageLabels, label_images
from lgnet_core.types import ImageArray, Side
from lgnet_core.visualization.drawing import contact_sheet, write_png

VARIANTS = 6
"""Differently augmented copies of each image; one shard each."""
SHEET = "student.png"
"""Contact sheet of augmented images with their pseudo-labels, for inspection."""
SHEET_TILES = 200
_LABELS = "labels.safetensors"
"""What the teacher has seen; only an unfinished cache has this file."""
_SHEET_COLUMNS, _SHEET_TILE_SIZE = 20, 160


class TeacherCache:
    """Features of augmented real hands with pseudo-labels; missing shards are computed by the constructor,
    which resumes where an interrupted one stopped.

    Args:
        root: folder of the real images (:mod:`lgnet_core.data.realhands`); the train split is used.
        folder: parent folder of the cache, which has a subfolder for each landmark network and settings.
        landmarker: landmark network whose features are cached, on the CPU. The teacher is always the pretrained one.
        rendered: stored set of rendered hands for the copy-paste augmentation.
        image_size: side of the square into which images are letterboxed for the loss, pixels.
        threads: CPU threads.
        progress: show a progress bar.

    Raises:
        InputError: if there are no real images, or the teacher is confident of a hand in none of them.
    """

    def __init__(
        self,
        root: Path,
        folder: Path,
        landmarker: HandLandmarkNet,
        rendered: StoredHands,
        image_size: int,
        settings: TeacherSettings | None = None,
        threads: int | None = None,
        progress: bool = True,
    ) -> None:
        self.image_size = image_size
        settings = settings or TeacherSettings()
        index = read_index(root, "train")
        self.folder = folder / f"teacher-{cache_digest(landmarker, f'{settings.cache_key()} {image_size} {VARIANTS}')}"
        make_folder(self.folder)
        self._reader = ShardReader()
        missing = [number for number in range(VARIANTS) if not shard_length(self._path(number))]
        if missing:
            engine = make_engine(landmarker, "auto", "cpu", threads)
            teacher = Teacher(
                make_engine(load_hand_landmark_net(), "auto", "cpu", threads),
                make_engine(load_palm_detector(), "auto", "cpu", threads),
                settings,
            )
            images = [image.read() for image in index]
            with on_interruption(self._describe_progress):
                labels = label_images(teacher, images, self.folder / _LABELS, progress)
                if not any(label.hands for label in labels):
                    (self.folder / _LABELS).unlink()
                    raise InputError(
                        f"{root}: the landmark network is confident of a hand in no image of the train split; "
                        "provide images of hands"
                    )
                count = len(missing) * sum(bool(label.hands) for label in labels)
                require_feature_space(landmarker, count, self.folder)
                complete = [image.hand_count == len(label.hands) for image, label in zip(index, labels)]
                student = _StudentSamples(engine, teacher, rendered, image_size, images, labels, complete)
                write_png(self.folder / SHEET, student.contact_sheet(SHEET_TILES))
                for number in track(missing, "computing features", disable=not progress, transient=True):
                    student.write_variant(number, self._path(number))
            (self.folder / _LABELS).unlink()
        self._length = shard_length(self._path(0))

    def __len__(self) -> int:
        return self._length * VARIANTS

    def read(self, index: int) -> FeatureBatch:
        """Read one sample: one variant of the one or two hands of an image."""
        row, number = divmod(index, VARIANTS)
        shard = self._reader.open(self._path(number))

        def value(name: str) -> Tensor:
            return cast(Tensor, shard.get_slice(name)[row : row + 1]).float()

        names = [field.name for field in fields(FeatureBatch) if field.name != "batch"]
        return FeatureBatch(unlabelled_batch(1, self.image_size), **{name: value(name) for name in names})

    def _describe_progress(self) -> str:
        count = sum(shard_length(self._path(number), unfinished=True) for number in range(VARIANTS))
        return f"features of {count} augmented images are in {self.folder}; the same command computes the rest"

    def _path(self, number: int) -> Path:
        return self.folder / f"variant_{number:02d}.safetensors"


class _StudentSamples:
    """Computes the features, pseudo-labels and hard negatives of augmented images.

    Args:
        engine: engine of the student's landmark network.
        images: all real images. labels: what the teacher sees in them.
        complete: whether these are all hands of the image. Only then are other crops known to be background: where the
            teacher misses one of two hands, a crop beside the other one may show it.
    """

    def __init__(
        self,
        engine: Engine[HandLandmarks],
        teacher: Teacher,
        rendered: StoredHands,
        image_size: int,
        images: Sequence[ImageArray],
        labels: Sequence[ImageLabels],
        complete: Sequence[bool],
    ) -> None:
        self.engine, self.teacher, self.settings = engine, teacher, teacher.settings
        self.rendered, self.image_size = rendered, image_size
        self.images, self.complete = images, complete
        self.labels, self._rejected = [label.hands for label in labels], [label.rejected for label in labels]
        # Only of images of one hand: another one close by would be cut out with it, but not labelled.
        single = [(image, hands[0]) for image, hands in zip(images, self.labels) if len(hands) == 1]
        self._cutouts = [cutout for image, hand in single if (cutout := cut_out_hand(image, hand)) is not None]

    def write_variant(self, number: int, path: Path) -> None:
        """Compute one augmented copy of every image that has pseudo-labels, or those that are missing of them.

        Args:
            number: seeds the augmentation.
            path: file of the shard.
        """
        random = np.random.default_rng(number)
        labelled = [index for index, hands in enumerate(self.labels) if hands]
        with GrowingShard(path) as shard:
            if shard.state is not None:
                random.bit_generator.state = json.loads(bytes(shard.state.tolist()))
            for index in labelled[shard.rows("given") :]:
                sample = {name: value[None] for name, value in self._sample(index, random).items()}
                state = json.dumps(random.bit_generator.state).encode()
                shard.append(sample, torch.tensor(list(state), dtype=torch.uint8))

    def _sample(self, index: int, random: np.random.Generator) -> dict[str, Tensor]:
        """Features, pseudo-labels and hard negative of an augmented image."""
        augmented, hands = self._augment(index, random)
        sample = self._features(augmented, hands, random)
        background = self._background_crop(index, sample["affine"], random)
        image = self.images[index] if background is not None else augmented
        return sample | self._negative(image, background, sample["affine"])

    def contact_sheet(self, count: int) -> ImageArray:
        """Augmented copies of images, evenly spaced over the data, with their pseudo-labels."""
        labelled = [index for index, hands in enumerate(self.labels) if hands]
        chosen = np.unique(np.linspace(0, len(labelled) - 1, count).round().astype(int))
        random = np.random.default_rng(VARIANTS)  # other draws than those of the variants
        tiles = []
        for index in (labelled[k] for k in chosen):
            image, hands = self._augment(index, random)
            joints = np.concatenate([hand.joints_2d for hand in hands])
            tiles.append(draw_tile(image, hands, focus=np.concatenate([joints.min(0), joints.max(0)])))
        return contact_sheet(tiles, _SHEET_COLUMNS, _SHEET_TILE_SIZE)

    def _augment(self, index: int, random: np.random.Generator) -> tuple[ImageArray, list[PseudoLabel]]:
        """Copy-paste and photometric augmentation of an image, and its hands after that."""
        image, hands = paste_occluders(
            self.images[index], self.labels[index], self._cutouts, self.rendered, self.settings, random
        )
        generator = torch.Generator().manual_seed(int(random.integers(2**31)))
        tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        distorted = distort_images(tensor, generator, self.settings.photometry)[0]
        return (distorted.permute(1, 2, 0) * 255).round().byte().numpy(), hands

    def _features(
        self, image: ImageArray, hands: Sequence[PseudoLabel], random: np.random.Generator
    ) -> dict[str, Tensor]:
        """Features and pseudo-labels of an image; an absent hand repeats the other one."""
        by_side = {hand.side: hand for hand in hands}
        both = [by_side.get(side) or by_side[side.other] for side in Side]
        crops = crops_from_joints(torch.from_numpy(np.stack([hand.joints_2d for hand in both])))
        crops = crops.mirror_left(torch.tensor([int(hand.side) for hand in both]))
        generator = torch.Generator().manual_seed(int(random.integers(2**31)))
        crops = HandCrops(*(v.double() if v.is_floating_point() else v for v in crops))
        crops = jitter_crops(crops, self.settings.jitter, generator)
        affine = crops.affine(HAND_CROP_SIZE)
        intrinsics = torch.from_numpy(default_camera(image).matrix).expand(2, 3, 3)
        output = self.engine(extract_crops(image, affine.numpy(), HAND_CROP_SIZE))
        to_square = self._letterbox(image)
        present = torch.tensor([side in by_side for side in Side])
        joints = torch.from_numpy(np.stack([hand.joints_2d for hand in both]))
        pseudo_labels = joints @ to_square[:2, :2].T + to_square[:2, 2]
        return {name: torch.from_numpy(getattr(output, name)).half() for name in FEATURE_MAPS} | {
            "intrinsics": crop_projection(affine, intrinsics).float(),
            "frames": crops.canonical_frames(intrinsics).float(),
            "given": present.float(),
            "affine": (affine @ torch.linalg.inv(to_square)).float(),
            "teacher": torch.where(present[:, None, None], pseudo_labels, torch.nan).float(),
        }

    def _background_crop(self, index: int, affine: Tensor, random: np.random.Generator) -> Tensor | None:
        """A background crop (2, 3) of a clean image by the teacher; None to use a mirrored hand instead.

        Args:
            affine: (2, 2, 3) crops of both hands, from pixels of the letterboxed image.
        """
        if random.random() < MIRROR_PROBABILITY or not self.complete[index]:
            return None
        image, hands, rejected = self.images[index], self.labels[index], self._rejected[index]
        if rejected and random.random() < self.settings.candidate_probability:
            return rejected[int(random.integers(len(rejected)))]
        height, width = image.shape[:2]
        joints = torch.from_numpy(np.stack([hand.joints_2d for hand in hands]))
        from_image = (affine.double() @ self._letterbox(image))[0, :, :2]
        crop_side = HAND_CROP_SIZE / float(torch.linalg.det(from_image).abs().sqrt())
        generator = torch.Generator().manual_seed(int(random.integers(2**31)))
        background = sample_background_crop(joints, crop_side, (width, height), generator)
        if background is not None and self.teacher.sees_background(image, background):
            return background
        return None

    def _negative(self, image: ImageArray, background: Tensor | None, affine: Tensor) -> dict[str, Tensor]:
        """One hard negative (:mod:`lgnet_core.training.features.negatives`): background or a mirrored hand."""
        if background is None:
            crop, labels = mirror_crop(affine[0].double() @ self._letterbox(image)), [1.0, 0.0]
        else:
            crop, labels = background, [0.0, torch.nan]
        output = self.engine(extract_crops(image, crop[None].numpy(), HAND_CROP_SIZE))
        return {"negative": torch.from_numpy(output.middle[0]).half(), "negative_labels": torch.tensor(labels)}

    def _letterbox(self, image: ImageArray) -> Tensor:
        """(3, 3) image pixels -> pixels of the letterboxed square."""
        height, width = image.shape[:2]
        return torch.from_numpy(np.vstack([letterbox(width, height, self.image_size), [0, 0, 1]]))
