"""Convert the weights of MediaPipe's palm detector and hand-landmark network.

    pip download mediapipe==0.10.21 --no-deps --only-binary :all: -d DIR
    pip install -e .[assets]
    python tools/builders/read_mediapipe.py DIR/mediapipe-*.whl
    python tools/builders/read_mediapipe.py DIR/mediapipe-*.whl --variant lite --out FOLDER

writes ``hand_landmark.safetensors`` and ``palm_detector_mediapipe.safetensors`` (``_lite`` for the smaller variants,
which the package does not contain), with kernels in half precision, as in the wheel. All outputs are compared with
LiteRT's on several images; nothing is written if one differs. `lgnet train-palms` starts from the palm detector.

In the wheel every batch norm is folded into its convolution. Those of the hand-landmark network are unfolded again with
the statistics of synthetic images, so that the network computes the same values and can be trained further.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tflite
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import Tensor, nn

from lgnet_core.hand_model import load_hand_layer
from lgnet_core.network.detector.hand_landmark import HandLandmarkNet
from lgnet_core.network.detector.palm_detector import GRIDS, PalmDetector
from lgnet_core.network.prediction import HAND_CROP_SIZE, PALM_IMAGE_SIZE
from lgnet_core.network.pretrained import (
    HAND_LANDMARK,
    MEDIAPIPE_PALM_DETECTOR,
    WEIGHTS_FOLDER,
    Variant,
    kernel_weights,
    save_half_precision,
    weights_filename,
)
from lgnet_core.synthetic.generator import SyntheticHands

MEMBERS = {
    HAND_LANDMARK: "mediapipe/modules/hand_landmark/hand_landmark_{}.tflite",
    MEDIAPIPE_PALM_DETECTOR: "mediapipe/modules/palm_detection/palm_detection_{}.tflite",
}
OPERATOR = tflite.BuiltinOperator
NORM_IMAGES, NORM_SIZE, SEED = 256, 160, 7
"""Number, side in pixels, and seed of the synthetic crops for the norms' statistics."""
CHECK_IMAGES = 4
"""Number of synthetic crops, and of noise images, on which outputs are compared in addition to the analytic image."""
TOLERANCE = 2e-5
"""Maximum difference from LiteRT, relative to the output's largest value: both sum in single precision in different
orders."""


class TFLiteModel:
    """A TensorFlow Lite model.

    Args:
        content: bytes of the file.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.model = tflite.Model.GetRootAsModel(content, 0)
        self.graph = self.model.Subgraphs(0)
        records = [self.graph.Operators(k) for k in range(self.graph.OperatorsLength())]
        codes = [self.model.OperatorCodes(record.OpcodeIndex()) for record in records]
        kinds = [max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) for code in codes]
        self.operators: list[tuple[int, Any]] = list(zip(kinds, records, strict=True))
        """Operator code and record, in execution order."""
        self._stored = {
            int(o.Outputs(0)): int(o.Inputs(0)) for kind, o in self.operators if kind == OPERATOR.DEQUANTIZE
        }

    def convolutions(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Kernels in torch's layout (out, in / groups, k, k) and biases, in execution order."""
        for kind, operator in self.operators:
            if kind in (OPERATOR.CONV_2D, OPERATOR.DEPTHWISE_CONV_2D):
                order = (0, 3, 1, 2) if kind == OPERATOR.CONV_2D else (3, 0, 1, 2)
                kernel = self._constant(operator.Inputs(1)).permute(order).contiguous()
                yield kernel, self._constant(operator.Inputs(2))

    def slopes(self) -> Iterator[Tensor]:
        """Slopes of the PReLUs, in execution order."""
        for kind, operator in self.operators:
            if kind == OPERATOR.PRELU:
                yield self._constant(operator.Inputs(1)).flatten()

    def _constant(self, index: int) -> Tensor:
        tensor = self.graph.Tensors(self._stored.get(index, index))
        kind = np.float16 if tensor.Type() == tflite.TensorType.FLOAT16 else np.float32
        values = self.model.Buffers(tensor.Buffer()).DataAsNumpy().view(kind)
        return torch.from_numpy(values.reshape(tensor.ShapeAsNumpy()).astype(np.float32))

    def dense(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Weights (out, in) and biases of the dense layers, in execution order."""
        for kind, operator in self.operators:
            if kind == OPERATOR.FULLY_CONNECTED:
                yield self._constant(operator.Inputs(1)), self._constant(operator.Inputs(2)).flatten()

    def run(self, images: Tensor) -> list[Tensor]:
        """Run the model in LiteRT. Shapes: (N, S, S, 3) -> the model's outputs in their order, each (N, ...)."""
        interpreter = Interpreter(model_content=self.content)
        interpreter.allocate_tensors()
        outputs: list[list[Tensor]] = []
        for image in images:
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None].numpy())
            interpreter.invoke()
            values = [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]
            outputs.append([torch.from_numpy(x[0].copy()) for x in values])
        return [torch.stack(values) for values in zip(*outputs, strict=True)]


def layers(network: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions with their norms, in the order of definition, which is the execution order."""
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    yield from zip(convolutions, norms, strict=True)


@torch.no_grad()
def folded_hand_landmark(model: TFLiteModel, variant: Variant) -> HandLandmarkNet:
    """The hand-landmark network with norms that only add the folded bias."""
    network = HandLandmarkNet(variant).eval()
    for (convolution, norm), (kernel, bias) in zip(layers(network), model.convolutions(), strict=True):
        convolution.weight.copy_(kernel)
        norm.running_var.fill_(1 - norm.eps)  # type: ignore[union-attr]
        norm.bias.copy_(bias)
    heads = (network.side, network.presence, network.landmarks, network.world_landmarks)  # order in the file
    for head, (weight, bias) in zip(heads, model.dense(), strict=True):
        head.weight.copy_(weight)
        head.bias.copy_(bias)
    return network


@torch.no_grad()
def unfold_norms(network: HandLandmarkNet, images: Tensor) -> None:
    """Set each norm's statistics to those of its input, and its scale and shift so that the output is unchanged.

    Kernels are divided by the power of two that brings their standard deviation close to 1 / sqrt(fan-in).
    """
    sums: dict[nn.BatchNorm2d, Tensor] = {}

    def accumulate(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].double().transpose(0, 1).flatten(1)
        sums[norm] = sums.get(norm, 0) + torch.stack([torch.full((len(x),), x.shape[1]), x.sum(1), x.square().sum(1)])

    hooks = [norm.register_forward_pre_hook(accumulate) for _, norm in layers(network)]
    for part in images.split(32):
        network.encoder(part)
    for hook in hooks:
        hook.remove()
    for convolution, norm in layers(network):
        count, total, squares = sums[norm]
        mean = total / count
        variance = squares / count - mean.square()
        # The norm compensates the kernel's scale, but an optimiser's steps do not scale with the weights.
        scale = float(2 ** (convolution.weight.std() * convolution.weight[0].numel() ** 0.5).log2().round())
        convolution.weight.div_(scale)
        norm.running_mean.copy_(mean / scale)  # type: ignore[union-attr]
        norm.running_var.copy_(variance / scale**2)  # type: ignore[union-attr]
        norm.weight.copy_(scale * (variance / scale**2 + norm.eps).sqrt())
        norm.bias.add_(mean)


@torch.no_grad()
def palm_detector(model: TFLiteModel, variant: Variant) -> PalmDetector:
    """The palm detector; in the file, its heads are interleaved with the convolutions of its backbone."""
    network = PalmDetector(variant).eval()
    heads = [module for module in network.heads.modules() if isinstance(module, nn.Conv2d)]
    widths = [head.out_channels for head in heads]  # 2, 36, 6, 108: unlike any layer of the backbone
    constants = list(model.convolutions())
    body_constants = [pair for pair in constants if len(pair[0]) not in widths]
    head_constants = sorted(
        (pair for pair in constants if len(pair[0]) in widths), key=lambda pair: widths.index(len(pair[0]))
    )
    body = [module for module in network.body.modules() if isinstance(module, nn.Conv2d)]
    for convolution, (kernel, bias) in zip([*body, *heads], [*body_constants, *head_constants], strict=True):
        convolution.weight.copy_(kernel)
        if convolution.bias is not None:
            convolution.bias.copy_(bias)
        elif bias.any():
            raise SystemExit(
                "palm detection: a depthwise convolution has a bias; this is not the model of MediaPipe 0.10.21"
            )
    activations = [module for module in network.modules() if isinstance(module, nn.PReLU)]
    for activation, slopes in zip(activations, model.slopes(), strict=True):
        activation.weight.copy_(slopes)
    return network


def decode(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Decode raw outputs to boxes and keypoints in pixels, as MediaPipe's graph does in fractions of the image.

    Shapes: (N, 2016, 18) -> (N, 2016, 4), (N, 2016, 7, 2).
    """
    cells = [(x, y, grid) for grid, count in GRIDS for y in range(grid) for x in range(grid) for _ in range(count)]
    anchors = torch.tensor([((x + 0.5) / grid, (y + 0.5) / grid) for x, y, grid in cells])
    points = (raw / PALM_IMAGE_SIZE).unflatten(-1, (9, 2))
    centre, size, keypoints = points[..., 0, :] + anchors, points[..., 1, :], points[..., 2:, :] + anchors[:, None]
    boxes = torch.cat([centre - size / 2, centre + size / 2], -1)
    return boxes * PALM_IMAGE_SIZE - 0.5, keypoints * PALM_IMAGE_SIZE - 0.5


def analytic_image(size: int) -> Tensor:
    """An analytic image that tests can reproduce. Shapes: (S, S, 3), [0, 1]."""
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    waves = [torch.sin(x / 9 + y / 31), torch.cos(x / 17 - y / 7), torch.sin((x + y) / 23)]
    return torch.stack(waves, -1) / 2 + 0.5


def check_images(generator: SyntheticHands, size: int) -> Tensor:
    """Analytic image, synthetic crops, noise. Shapes: (N, S, S, 3), [0, 1]."""
    crops = generator.crops(torch.arange(CHECK_IMAGES), size).image.float() / 255
    noise = torch.rand(CHECK_IMAGES, size, size, 3, generator=torch.Generator().manual_seed(SEED))
    return torch.cat([analytic_image(size)[None], crops.permute(0, 2, 3, 1), noise])


def compare(member: str, ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Print each output's maximum difference and its values for the analytic image; exit if they differ."""
    for name, reference in theirs.items():
        largest = reference.abs().max()
        difference = float((ours[name] - reference).abs().max() / largest)
        print(f"{member}: {name}: maximum difference {difference:.1e} of the largest value ({largest:.4g})")
        values = reference[0].flatten()
        step = max(1, len(values) // 16)
        print(f"  analytic image, values 0, {step}, ...: {[round(float(v), 4) for v in values[::step]]}")
        if not difference <= TOLERANCE:  # also true for NaN
            raise SystemExit(f"{member}: {name} differs from LiteRT's by more than {TOLERANCE}; nothing is written")


@torch.no_grad()
def round_kernels(network: nn.Module) -> None:
    """Round kernels to half precision, as they are saved: scaled by a power of two, the smallest become subnormal."""
    for kernel in kernel_weights(network):
        kernel.copy_(kernel.half())


def write(folder: Path, name: str, variant: Variant, network: nn.Module) -> None:
    path = folder / weights_filename(name, variant)
    source = f"mediapipe 0.10.21, {MEMBERS[name].format(variant)}, Apache-2.0"
    save_half_precision(network, path, {"source": source})
    print(f"{path.stat().st_size / 1e6:.1f} MB in {path}")


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="mediapipe-0.10.21-*.whl")
    parser.add_argument("--variant", choices=("full", "lite"), default="full")
    parser.add_argument(
        "--out", type=Path, help="output folder; required for lite, default for full: lgnet_core/weights"
    )
    arguments = parser.parse_args()
    variant: Variant = arguments.variant
    if variant == "lite" and arguments.out is None:
        parser.error("--variant lite needs --out FOLDER: the package contains the full variants only")
    folder = arguments.out or WEIGHTS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    wheel = zipfile.ZipFile(arguments.wheel)
    models = {name: TFLiteModel(wheel.read(member.format(variant))) for name, member in MEMBERS.items()}
    generator = SyntheticHands(SEED, load_hand_layer(None))

    hand_landmark = folded_hand_landmark(models[HAND_LANDMARK], variant)
    batches = [generator.crops(indices, NORM_SIZE).image for indices in torch.arange(NORM_IMAGES).split(32)]
    unfold_norms(hand_landmark, torch.cat(batches).float() / 255)
    round_kernels(hand_landmark)
    images = check_images(generator, HAND_CROP_SIZE)
    ours = hand_landmark(images.permute(0, 3, 1, 2))
    landmarks, presence, side, world = models[HAND_LANDMARK].run(images)
    landmarks = landmarks.unflatten(-1, (-1, 3)) - torch.tensor([0.5, 0.5, 0.0])
    compare(
        MEMBERS[HAND_LANDMARK].format(variant),
        {
            "landmarks": ours.landmarks,
            "world landmarks": ours.world_landmarks,
            "presence": ours.presence_logits.sigmoid(),
            "side": ours.side_logits.sigmoid(),
        },
        {
            "landmarks": landmarks,
            "world landmarks": world.unflatten(-1, (-1, 3)),
            "presence": presence[:, 0],
            "side": side[:, 0],
        },
    )

    palms = palm_detector(models[MEDIAPIPE_PALM_DETECTOR], variant)
    round_kernels(palms)
    images = check_images(generator, PALM_IMAGE_SIZE)
    candidates = palms(images.permute(0, 3, 1, 2))
    raw, logits = models[MEDIAPIPE_PALM_DETECTOR].run(images)
    boxes, keypoints = decode(raw)
    theirs = {"logits": logits[..., 0], "boxes": boxes, "keypoints": keypoints}
    compare(MEMBERS[MEDIAPIPE_PALM_DETECTOR].format(variant), candidates._asdict(), theirs)

    write(folder, HAND_LANDMARK, variant, hand_landmark)
    write(folder, MEDIAPIPE_PALM_DETECTOR, variant, palms)


if __name__ == "__main__":
    main()
