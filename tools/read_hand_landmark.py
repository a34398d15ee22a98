"""Read the encoder of MediaPipe's hand-landmark network into the weights that trainings may start from.

    pip download mediapipe==0.10.21 --no-deps --only-binary :all: -d DIR
    pip install -e .[assets]
    python tools/read_hand_landmark.py DIR/mediapipe-*.whl

writes ``lgnet_core/weights/hand_landmark_encoder.safetensors``: the kernels as the wheel has them (half precision).
There every norm is folded into its convolution. Here it is unfolded again, with the statistics of synthetic pictures,
so that the network gives the same values and can be trained on. The result is compared with LiteRT's, and refused if it
differs.
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

MEMBER = "mediapipe/modules/hand_landmark/hand_landmark_full.tflite"
CONVOLUTIONS = (tflite.BuiltinOperator.CONV_2D, tflite.BuiltinOperator.DEPTHWISE_CONV_2D)
PICTURES, SIZE, SEED = 256, 160, 7
TOLERANCE = 1e-5
"""Of the features' largest value; measured: see what the tool prints."""


def operators(content: bytes) -> list[tuple[int, Any]]:
    """Kind and record of each operator, in the order of the network."""
    model = tflite.Model.GetRootAsModel(content, 0)
    graph = model.Subgraphs(0)
    records = [graph.Operators(k) for k in range(graph.OperatorsLength())]
    codes = [model.OperatorCodes(record.OpcodeIndex()) for record in records]
    return [(max(c.BuiltinCode(), c.DeprecatedBuiltinCode()), r) for c, r in zip(codes, records, strict=True)]


def kernels_and_biases(content: bytes) -> Iterator[tuple[Tensor, Tensor]]:
    """The convolutions' constants in the order of the network, kernels as torch has them (out, in / groups, k, k)."""
    model = tflite.Model.GetRootAsModel(content, 0)
    graph = model.Subgraphs(0)
    found = operators(content)
    stored = {int(o.Outputs(0)): int(o.Inputs(0)) for kind, o in found if kind == tflite.BuiltinOperator.DEQUANTIZE}

    def constant(index: int) -> Tensor:
        tensor = graph.Tensors(stored[index])
        values = model.Buffers(tensor.Buffer()).DataAsNumpy().view(np.float16)
        return torch.from_numpy(values.reshape(tensor.ShapeAsNumpy()).copy())

    for kind, operator in found:
        if kind in CONVOLUTIONS:
            order = (0, 3, 1, 2) if kind == tflite.BuiltinOperator.CONV_2D else (3, 0, 1, 2)
            yield constant(operator.Inputs(1)).permute(order).contiguous(), constant(operator.Inputs(2))


def layers(network: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions, each with its norm, in the order of the network, which is the order of their definition."""
    modules = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    convolutions = [m for m in modules if isinstance(m, nn.Conv2d)]
    norms = [m for m in modules if isinstance(m, nn.BatchNorm2d)]
    yield from zip(convolutions, norms, strict=True)


@torch.no_grad()
def folded_network(content: bytes) -> HandLandmarkEncoder:
    """The network with norms that only add the bias."""
    network = HandLandmarkEncoder().eval()
    for (convolution, norm), (kernel, bias) in zip(layers(network), kernels_and_biases(content), strict=True):
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


def litert_features(content: bytes, image: Tensor) -> Tensor:
    """The features' average over the picture, as LiteRT computes them. Shapes: (224, 224, 3) -> (1152,)."""
    interpreter = Interpreter(model_content=content, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None].numpy())
    interpreter.invoke()
    (mean,) = [operator for kind, operator in operators(content) if kind == tflite.BuiltinOperator.MEAN]
    return torch.from_numpy(interpreter.get_tensor(int(mean.Outputs(0)))[0])


def check_picture() -> Tensor:
    """A picture that is a formula, so that a test can make it too. Shapes: (224, 224, 3), [0, 1]."""
    y, x = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
    waves = [torch.sin(x / 9 + y / 31), torch.cos(x / 17 - y / 7), torch.sin((x + y) / 23)]
    return torch.stack(waves, -1) / 2 + 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="mediapipe-0.10.21-*.whl")
    content = zipfile.ZipFile(parser.parse_args().wheel).read(MEMBER)
    network = folded_network(content)
    generator = SyntheticHands(SEED, load_hand_model(None))
    batches = [generator.crops(indices, SIZE).image for indices in torch.arange(PICTURES).split(32)]
    unfold_norms(network, torch.cat(batches).float() / 255)

    image = check_picture()
    with torch.no_grad():
        ours = network(image.permute(2, 0, 1)[None])[1].mean((-2, -1))[0]
    theirs = litert_features(content, image)
    difference = float((ours - theirs).abs().max() / theirs.abs().max())
    print(f"largest difference from LiteRT: {difference:.2e} of the largest feature ({theirs.abs().max():.3f})")
    print("features 0, 64, ...:", [round(float(v), 4) for v in theirs[::64]])
    if difference > TOLERANCE:
        raise SystemExit(f"more than {TOLERANCE}: nothing written")
    kernels = {id(convolution.weight) for convolution, _ in layers(network)}
    state = network.state_dict(keep_vars=True)
    half = {name: (v.half() if id(v) in kernels else v).detach().contiguous() for name, v in state.items()}
    save_file(half, HAND_LANDMARK_WEIGHTS, {"source": f"mediapipe 0.10.21, {MEMBER}, Apache-2.0"})
    print(f"{HAND_LANDMARK_WEIGHTS.stat().st_size / 1e6:.1f} MB in {HAND_LANDMARK_WEIGHTS}")


if __name__ == "__main__":
    main()
