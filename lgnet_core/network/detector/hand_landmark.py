"""MediaPipe's hand-landmark network: features, landmarks, presence and handedness of the upright hand in a crop.

Sources: Zhang et al. 2020, "MediaPipe Hands"; the graphs and weights of ``hand_landmark_full.tflite`` and
``_lite.tflite`` in the wheel of MediaPipe 0.10.21 (Apache-2.0). Those files have every batch norm folded into its
convolution; tools/builders/read_mediapipe.py unfolds them, so that the network can be trained further.

Pixel convention: the landmarks in the files are distances from the crop's left and top edges: MediaPipe divides them by
224 and takes the result as fractions of the crop's rectangle, whose edges are at 0 and 1. With pixel centres at
integers, as everywhere in this project, that is u = x - 0.5. Measured on crops of 242 real hands and their mirror
images: u + u' is 222.80 on average (standard error 0.07). The exact value is 223; it would be 222 if the files counted
from the centre of the first pixel.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from lgnet_core.network.backbones.hand_landmark_encoder import HandLandmarkEncoder, HandLandmarkEncoderLite
from lgnet_core.network.exportable import ExportableModule
from lgnet_core.network.prediction import HAND_CROP_SIZE, HandLandmarks
from lgnet_core.network.pretrained import HAND_LANDMARK, Variant, load_weights
from lgnet_core.types import NUM_KEYPOINTS

_ENCODERS: dict[Variant, type[HandLandmarkEncoder]] = {"full": HandLandmarkEncoder, "lite": HandLandmarkEncoderLite}


class HandLandmarkNet(ExportableModule[HandLandmarks]):
    """Encoder and four linear heads on its global average.

    Shapes:
        crop: (N, 3, 224, 224) RGB in [0, 1], the hand upright (wrist below, fingers up).
        returns: :class:`HandLandmarks`.

    Args:
        variant: the lite encoder is about half as wide.

    Raises:
        ValueError: for crops of another size, for which the heads were not trained.
    """

    INPUTS = ("crop",)
    OUTPUTS = HandLandmarks

    def __init__(self, variant: Variant = "full") -> None:
        super().__init__()
        self.variant = variant
        self.encoder = _ENCODERS[variant]()
        width = self.encoder.deep_channels
        self.side = nn.Linear(width, 1)
        self.presence = nn.Linear(width, 1)
        self.landmarks = nn.Linear(width, NUM_KEYPOINTS * 3)
        self.world_landmarks = nn.Linear(width, NUM_KEYPOINTS * 3)

    def example_inputs(self) -> tuple[Tensor, ...]:
        return (torch.rand(2, 3, HAND_CROP_SIZE, HAND_CROP_SIZE, generator=torch.Generator().manual_seed(0)),)

    def description(self) -> dict[str, str]:
        return {"variant": self.variant}

    def forward(self, crop: Tensor) -> HandLandmarks:
        if tuple(crop.shape[-2:]) != (HAND_CROP_SIZE, HAND_CROP_SIZE):
            raise ValueError(
                f"hand-landmark network: crop of shape {tuple(crop.shape)}; it takes {HAND_CROP_SIZE}x{HAND_CROP_SIZE}"
            )
        early, _, middle, deep = self.encoder.maps(crop)
        return HandLandmarks(early, middle, deep, *self.heads(deep))

    def heads(self, deep: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Landmarks, world landmarks, presence logits and side logits from the stride-32 map."""
        mean = deep.mean((-2, -1))
        from_edges = self.landmarks(mean).unflatten(-1, (NUM_KEYPOINTS, 3))
        landmarks = torch.cat([from_edges[..., :2] - 0.5, from_edges[..., 2:]], -1)
        world = self.world_landmarks(mean).unflatten(-1, (NUM_KEYPOINTS, 3))
        return landmarks, world, self.presence(mean)[:, 0], self.side(mean)[:, 0]

    def unfreezing_order(self) -> list[nn.Module]:
        """All layers in blocks, from the outputs back to the input, for gradual unfreezing."""
        encoder = self.encoder
        outputs = [self.side, self.presence, self.landmarks, self.world_landmarks]
        last = [encoder.expand, encoder.expand_norm, encoder.depthwise, encoder.depthwise_norm]
        return [
            nn.ModuleList([*outputs, *last]),
            *reversed(encoder.blocks),
            nn.ModuleList([encoder.stem, encoder.stem_norm]),
        ]


def load_hand_landmark_net(variant: Variant = "full", path: str | Path | None = None) -> HandLandmarkNet:
    """The network with MediaPipe's weights.

    Arguments and errors: see :func:`lgnet_core.network.pretrained.load_weights`.
    """
    return load_weights(HandLandmarkNet(variant), HAND_LANDMARK, variant, path)
