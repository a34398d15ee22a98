"""Read two networks of MediaPipe into the weights that trainings may start from.

    pip download mediapipe==0.10.21 --no-deps --only-binary :all: -d DIR
    pip install -e .[assets]
    python tools/read_mediapipe.py DIR/mediapipe-*.whl

writes ``hand_landmark_encoder.safetensors`` (the encoder of its hand-landmark network, a backbone) and
``palm_net.safetensors`` (the body of its palm detector) to ``lgnet_core/weights``: the kernels as the wheel has them,
in half precision. Each is compared with LiteRT's values, and refused if it differs.

In the wheel every norm is folded into its convolution. For the encoder it is unfolded again, with the statistics of
synthetic pictures, so that the network gives the same values and can be trained on with other layers.
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
from safetensors.torch import save_file
from torch import Tensor, nn

from lgnet_core.data.synthetic.generator import SyntheticHands
from lgnet_core.hand_model import load_hand_model
from lgnet_core.network.backbone import HAND_LANDMARK_WEIGHTS, HandLandmarkEncoder
from lgnet_core.network.palm_net import PALM_NET_WEIGHTS, PalmNet

HAND_LANDMARK = "mediapipe/modules/hand_landmark/hand_landmark_full.tflite"
PALM_DETECTION = "mediapipe/modules/palm_detection/palm_detection_full.tflite"
PALM_HEADS = (2, 6, 36, 108)
"""Outputs of its heads' convolutions."""
OPERATOR = tflite.BuiltinOperator
PICTURES, SIZE, SEED = 256, 160, 7
TOLERANCE = 1e-5
"""Of the largest value; measured: see what the tool prints."""


class Model:
    """A TensorFlow Lite file.

    Args:
        content: of the file.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.model = tflite.Model.GetRootAsModel(content, 0)
        self.graph = self.model.Subgraphs(0)
        records = [self.graph.Operators(k) for k in range(self.graph.OperatorsLength())]
        codes = [self.model.OperatorCodes(record.OpcodeIndex()) for record in records]
        kinds = [max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) for code in codes]
        self.operators: list[tuple[int, Any]] = list(zip(kinds, records, strict=True))
        """Kind and record of each, in the order of the network."""
        self._stored = {
            int(o.Outputs(0)): int(o.Inputs(0)) for kind, o in self.operators if kind == OPERATOR.DEQUANTIZE
        }

    def convolutions(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Kernels, as torch has them (out, in / groups, k, k), and biases, in order."""
        for kind, operator in self.operators:
            if kind in (OPERATOR.CONV_2D, OPERATOR.DEPTHWISE_CONV_2D):
                order = (0, 3, 1, 2) if kind == OPERATOR.CONV_2D else (3, 0, 1, 2)
                kernel = self._constant(operator.Inputs(1)).permute(order).contiguous()
                yield kernel, self._constant(operator.Inputs(2))

    def slopes(self) -> Iterator[Tensor]:
        """Of the PReLUs, in order."""
        for kind, operator in self.operators:
            if kind == OPERATOR.PRELU:
                yield self._constant(operator.Inputs(1)).flatten()

    def _constant(self, index: int) -> Tensor:
        tensor = self.graph.Tensors(self._stored.get(index, index))
        kind = np.float16 if tensor.Type() == tflite.TensorType.FLOAT16 else np.float32
        values = self.model.Buffers(tensor.Buffer()).DataAsNumpy().view(kind)
        return torch.from_numpy(values.reshape(tensor.ShapeAsNumpy()).astype(np.float32))

    def run(self, image: Tensor, tensor: int) -> Tensor:
        """What LiteRT computes for one of the network's tensors. Shapes: (S, S, 3) -> (...), without the batch's 1."""
        interpreter = Interpreter(model_content=self.content, experimental_preserve_all_tensors=True)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None].numpy())
        interpreter.invoke()
        return torch.from_numpy(interpreter.get_tensor(tensor)[0])


def layers(network: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions, each with its norm, in the order of the network, which is the order of their definition."""
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    yield from zip(convolutions, norms, strict=True)


@torch.no_grad()
def folded_encoder(model: Model) -> HandLandmarkEncoder:
    """The hand-landmark network's encoder, with norms that only add the bias."""
    network = HandLandmarkEncoder().eval()
    for (convolution, norm), (kernel, bias) in zip(layers(network), model.convolutions(), strict=True):
        convolution.weight.copy_(kernel)
        norm.running_var.fill_(1 - norm.eps)  # type: ignore[union-attr]
        norm.bias.copy_(bias)
    return network


@torch.no_grad()
def unfold_norms(network: HandLandmarkEncoder, images: Tensor) -> None:
    """Give each norm the mean and variance of its input, and the scale and shift that undo them.

    Kernels are divided by a power of two that brings their standard deviation near 1 / sqrt(inputs of an output).
    """
    sums: dict[nn.BatchNorm2d, Tensor] = {}

    def gather(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].double().transpose(0, 1).flatten(1)
        sums[norm] = sums.get(norm, 0) + torch.stack([torch.full((len(x),), x.shape[1]), x.sum(1), x.square().sum(1)])

    hooks = [norm.register_forward_pre_hook(gather) for _, norm in layers(network)]
    for part in images.split(32):
        network(part)
    for hook in hooks:
        hook.remove()
    for convolution, norm in layers(network):
        count, total, squares = sums[norm]
        mean = total / count
        variance = squares / count - mean.square()
        # A norm undoes its kernel's scale, but an optimiser's steps are as long for large weights as for small ones.
        scale = float(2 ** (convolution.weight.std() * convolution.weight[0].numel() ** 0.5).log2().round())
        convolution.weight.div_(scale)
        norm.running_mean.copy_(mean / scale)  # type: ignore[union-attr]
        norm.running_var.copy_(variance / scale**2)  # type: ignore[union-attr]
        norm.weight.copy_(scale * (variance / scale**2 + norm.eps).sqrt())
        norm.bias.add_(mean)


@torch.no_grad()
def palm_net(model: Model) -> PalmNet:
    """The palm detector's body: all but the four convolutions of its two heads."""
    network = PalmNet().eval()
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    constants = [pair for pair in model.convolutions() if len(pair[0]) not in PALM_HEADS]
    for convolution, (kernel, bias) in zip(convolutions, constants, strict=True):
        convolution.weight.copy_(kernel)
        if convolution.bias is not None:
            convolution.bias.copy_(bias)
        elif bias.any():
            raise SystemExit(f"{PALM_DETECTION}: a depthwise convolution has a bias; this is not the file of 0.10.21")
    activations = [module for module in network.modules() if isinstance(module, nn.PReLU)]
    for activation, slopes in zip(activations, model.slopes(), strict=True):
        activation.weight.copy_(slopes)
    return network


def check_picture(size: int) -> Tensor:
    """A picture that is a formula, so that a test can make it too. Shapes: (S, S, 3), [0, 1]."""
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    waves = [torch.sin(x / 9 + y / 31), torch.cos(x / 17 - y / 7), torch.sin((x + y) / 23)]
    return torch.stack(waves, -1) / 2 + 0.5


def write(path: Path, network: nn.Module, ours: Tensor, theirs: Tensor, member: str) -> None:
    """Compare the features (channels,) and write the network."""
    difference = float((ours - theirs).abs().max() / theirs.abs().max())
    print(
        f"{member}: largest difference from LiteRT {difference:.2e} of the largest feature ({theirs.abs().max():.3f})"
    )
    step = len(theirs) // 16
    print(f"features 0, {step}, ...:", [round(float(v), 4) for v in theirs[::step]])
    if difference > TOLERANCE:
        raise SystemExit(f"more than {TOLERANCE}: {path.name} is not written")
    kernels = {id(module.weight) for module in network.modules() if isinstance(module, nn.Conv2d)}
    state = network.state_dict(keep_vars=True)
    half = {name: (v.half() if id(v) in kernels else v).detach().contiguous() for name, v in state.items()}
    save_file(half, path, {"source": f"mediapipe 0.10.21, {member}, Apache-2.0"})
    print(f"{path.stat().st_size / 1e6:.1f} MB in {path}")


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="mediapipe-0.10.21-*.whl")
    wheel = zipfile.ZipFile(parser.parse_args().wheel)

    model = Model(wheel.read(HAND_LANDMARK))
    encoder = folded_encoder(model)
    generator = SyntheticHands(SEED, load_hand_model(None))
    batches = [generator.crops(indices, SIZE).image for indices in torch.arange(PICTURES).split(32)]
    unfold_norms(encoder, torch.cat(batches).float() / 255)
    image = check_picture(224)
    ours = encoder(image.permute(2, 0, 1)[None])[1].mean((-2, -1))[0]
    (mean,) = [operator for kind, operator in model.operators if kind == OPERATOR.MEAN]
    write(HAND_LANDMARK_WEIGHTS, encoder, ours, model.run(image, int(mean.Outputs(0))), HAND_LANDMARK)

    model = Model(wheel.read(PALM_DETECTION))
    palms = palm_net(model)
    image = check_picture(192)
    ours = palms(image.permute(2, 0, 1)[None]).mean((-2, -1))[0]
    head = [operator for kind, operator in model.operators if kind == OPERATOR.CONV_2D][-1]
    theirs = model.run(image, int(head.Inputs(0))).mean((0, 1))
    write(PALM_NET_WEIGHTS, palms, ours, theirs, PALM_DETECTION)


if __name__ == "__main__":
    main()
