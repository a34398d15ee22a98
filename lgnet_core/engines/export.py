"""Export of networks to ONNX files."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import lgnet_core
from lgnet_core.io.output import write_bytes
from lgnet_core.network.exportable import ExportableModule, input_shapes
from lgnet_core.network.prediction import Outputs
from lgnet_core.types import FloatArray

OPSET = 17


def export_onnx(network: ExportableModule[Outputs], path: str | Path, inputs: tuple[Tensor, ...] | None = None) -> None:
    """Export a network to a single ONNX file with fixed input sizes and a dynamic batch size.

    Inputs and outputs are named as in the network. The file's metadata contain version, class of the network, input
    shapes, digest of the weights, and the network's ``description()``.

    Args:
        network: with its weights, on any device; it is exported on the CPU in evaluation mode.
        path: written atomically; its folder must exist.
        inputs: see :func:`onnx_content`.

    Raises:
        OSError: if the file cannot be written.
        ImportError, ValueError: see :func:`onnx_content`.
    """
    write_bytes(Path(path), onnx_content(network, inputs))


def onnx_content(network: ExportableModule[Outputs], inputs: tuple[Tensor, ...] | None = None) -> bytes:
    """Content of the file of :func:`export_onnx`. No other file is written, so that a full disk does not matter.

    Args:
        network: as for :func:`export_onnx`.
        inputs: a batch of 2 with the sizes to export, on the CPU; None for the network's ``example_inputs()``.

    Raises:
        ImportError: if onnx is not installed.
        ValueError: if an input and an output have the same name.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f"exporting needs onnx ({error}): pip install onnx") from error
    inputs = network.example_inputs() if inputs is None else inputs
    model = onnx.load_model_from_string(_trace(network, inputs))
    onnx.helper.set_model_props(model, description(network, inputs))
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def graph_content(
    network: ExportableModule[Outputs], constants: Mapping[str, FloatArray], metadata: Mapping[str, str]
) -> bytes:
    """Content of an ONNX file without weights, to be loaded by :mod:`lgnet_core.engines.graphs`.

    Its initialisers have the names of the network's parameters and of ``constants``, and no values. Nothing is folded
    into them, which is left to ONNX Runtime when it loads the file.

    Args:
        network: as for :func:`export_onnx`.
        constants: large arrays of the network that can be computed without it, by the names they get.
        metadata: further entries of the file's metadata.

    Raises:
        ValueError: if the network does not have one of the constants.
    """
    import onnx

    inputs = network.example_inputs()
    model = onnx.load_model_from_string(_trace(network, inputs, fold=False))
    onnx.checker.check_model(model)
    remaining = dict(constants)
    for node in list(model.graph.node):
        if node.op_type != "Constant" or not remaining:
            continue
        value = onnx.numpy_helper.to_array(node.attribute[0].t)
        for name, array in remaining.items():
            if value.shape == array.shape and np.array_equal(value, array):
                del remaining[name]
                model.graph.node.remove(node)
                model.graph.initializer.append(onnx.numpy_helper.from_array(array, node.output[0]))
                _rename(model.graph, node.output[0], name)
                break
    if remaining:
        raise ValueError(f"{type(network).__name__}: has no constant {', '.join(remaining)}")
    for value in model.graph.initializer:
        if value.data_type != onnx.TensorProto.FLOAT:
            raise ValueError(f"{type(network).__name__}: {value.name} is not float32")
        value.CopyFrom(onnx.TensorProto(name=value.name, dims=value.dims, data_type=value.data_type))
        value.data_location = onnx.TensorProto.EXTERNAL
        value.external_data.add(key="location", value="weights")
    onnx.helper.set_model_props(model, {"inputs": json.dumps(input_shapes(network, inputs)), **metadata})
    content: bytes = model.SerializeToString()
    return content


def _rename(graph: Any, old: str, new: str) -> None:
    """Rename a value of an ONNX graph."""
    for value in graph.initializer:
        value.name = new if value.name == old else value.name
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def description(network: ExportableModule[Outputs], inputs: tuple[Tensor, ...]) -> dict[str, str]:
    """Metadata of an exported file."""
    return {
        "producer": "lgnet_core",
        "version": lgnet_core.__version__,
        "torch": torch.__version__,
        "network": type(network).__name__,
        "inputs": json.dumps(input_shapes(network, inputs)),
        "weights": network_digest(network),
        **network.description(),
    }


def network_digest(network: ExportableModule[Outputs]) -> str:
    """SHA-256 (hex) of a network's class, description, parameters and buffers, including those of its hand model."""
    digest = hashlib.sha256(f"{type(network).__name__} {sorted(network.description().items())}".encode())
    for name, tensor in sorted([*network.named_parameters(), *network.named_buffers()], key=lambda pair: pair[0]):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _trace(network: ExportableModule[Outputs], inputs: tuple[Tensor, ...], fold: bool = True) -> bytes:
    """Serialised ONNX model of the network, without metadata.

    Uses torch's tracing exporter, which takes 5 s on one core; the dynamo exporter takes 45 s, and users wait for it.

    Args:
        fold: compute constants and merge batch norms with convolutions, instead of keeping all parameters as they are.
    """
    names, outputs = network.INPUTS, network.OUTPUTS._fields
    if common := set(names) & set(outputs):
        raise ValueError(
            f"{type(network).__name__}: {sorted(common)} are names of inputs and outputs; ONNX names must be unique"
        )
    device, training = next(network.parameters()).device, network.training
    network.to("cpu").eval()
    torch.onnx.register_custom_op_symbolic("aten::prelu", _export_prelu, OPSET)
    try:
        content = io.BytesIO()
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the tracer warns about shape checks, which are constant indeed
            torch.onnx.export(
                network,
                inputs,
                content,  # type: ignore[arg-type]  # accepted, but not declared
                dynamo=False,
                do_constant_folding=fold,
                training=torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE,
                opset_version=OPSET,
                input_names=list(names),
                output_names=list(outputs),
                dynamic_axes={name: {0: "batch"} for name in (*names, *outputs)},
            )
        return content.getvalue()
    finally:
        torch.onnx.unregister_custom_op_symbolic("aten::prelu", OPSET)
        network.to(device).train(training)


def _export_prelu(graph: Any, x: Any, slope: Any) -> Any:
    """Export the PReLU of a map as slope * x + (1 - slope) * relu(x), with depthwise 1x1 convolutions as products.

    ONNX Runtime (1.31) keeps maps in a blocked layout between convolutions, with implementations of addition, scaling
    and clipping but not of PRelu. With PRelu, MediaPipe's palm detector, which has 31 of them, takes twice as long.
    """
    (channels,) = torch.onnx.symbolic_helper._get_tensor_sizes(slope)
    if channels == 1 or torch.onnx.symbolic_helper._get_tensor_rank(x) != 4:
        return torch.onnx.symbolic_opset9.prelu(graph, x, slope)
    shape = graph.op("Constant", value_t=torch.tensor([channels, 1, 1, 1]))
    one = graph.op("Constant", value_t=torch.ones(1))
    linear, rectified = (graph.op("Reshape", factor, shape) for factor in (slope, graph.op("Sub", one, slope)))
    scaled = [
        graph.op("Conv", value, factor, group_i=channels, kernel_shape_i=[1, 1])
        for value, factor in ((x, linear), (graph.op("Relu", x), rectified))
    ]
    return graph.op("Add", *scaled)
