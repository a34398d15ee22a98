"""MediaPipe's hand-landmark network: agreement with LiteRT, ONNX export, handedness of a photographed hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from support.mediapipe_inputs import analytic_image, photograph, tensor
from torch.testing import assert_close

from lgnet_core.engines.export import export_onnx
from lgnet_core.geometry.hand_crops import HandCrops
from lgnet_core.network.detector.hand_landmark import HandLandmarkNet, load_hand_landmark_net
from lgnet_core.network.prediction import HAND_CROP_SIZE


@pytest.fixture(scope="module")
def network() -> HandLandmarkNet:
    return load_hand_landmark_net()


@torch.no_grad()
def test_outputs_agree_with_litert(network: HandLandmarkNet) -> None:
    """Reference values: LiteRT's output for the analytic image; its landmarks are measured from the crop's edges."""
    output = network(analytic_image(HAND_CROP_SIZE))
    landmarks = torch.tensor(
        [
            [131.59814, 162.73715, 0.00013],
            [125.29053, 119.78503, -13.62071],
            [121.32104, 79.97398, -26.11831],
            [118.05733, 88.79163, -17.95887],
            [128.26596, 78.8967, -12.85115],
        ]
    )
    assert_close(output.landmarks[0, ::5], landmarks - torch.tensor([0.5, 0.5, 0]), atol=1e-3, rtol=0)
    world = torch.tensor(
        [
            [-0.00032, 0.1073, 0.03501],
            [-0.01461, -0.00342, 0.01961],
            [-0.00072, -0.07951, 0.0035],
            [0.00144, -0.07642, 0.04964],
            [0.01797, -0.06799, 0.06787],
        ]
    )
    assert_close(output.world_landmarks[0, ::5], world, atol=2e-5, rtol=0)
    assert_close(output.presence_logits, torch.tensor([-9.7066]), atol=1e-3, rtol=0)
    assert_close(output.side_logits, torch.tensor([0.22069]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("variant", ["full", "lite"])
def test_shapes_of_the_variants(variant: str) -> None:
    with torch.no_grad():
        output = HandLandmarkNet(variant).eval()(torch.rand(2, 3, HAND_CROP_SIZE, HAND_CROP_SIZE))
    widths = {"full": (24, 112, 1152), "lite": (16, 64, 672)}[variant]
    maps = [(2, width, size, size) for width, size in zip(widths, (56, 14, 7), strict=True)]
    assert [tuple(x.shape) for x in output] == [*maps, (2, 21, 3), (2, 21, 3), (2,), (2,)]


def test_onnx_export_agrees_for_any_batch_size(network: HandLandmarkNet, tmp_path: Path) -> None:
    export_onnx(network, tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx", providers=["CPUExecutionProvider"])
    for count in (1, 3):
        crop = torch.rand(count, 3, HAND_CROP_SIZE, HAND_CROP_SIZE)
        with torch.no_grad():
            expected = network(crop)
        for actual, reference in zip(session.run(None, {"crop": crop.numpy()}), expected, strict=True):
            assert_close(torch.from_numpy(actual), reference, atol=1e-4, rtol=1e-4)


def test_crop_of_wrong_size_raises(network: HandLandmarkNet) -> None:
    with pytest.raises(ValueError, match="it takes 224x224"):
        network(torch.rand(1, 3, 256, 256))


@torch.no_grad()
def test_photographed_left_hand_and_its_mirror_image(network: HandLandmarkNet) -> None:
    """The mirror image is a right hand with landmarks at W - 1 - u; the thumb's tip is the topmost joint."""
    image = photograph()
    # Annotated by eye around the palm; rotated so that the knuckles are above the wrist.
    crop = HandCrops(torch.tensor([[290.0, 240.0]]), torch.tensor([420.0]), torch.tensor([1.0]), torch.tensor([False]))
    affine = crop.affine(HAND_CROP_SIZE)[0]
    image_crop = tensor(cv2.warpAffine(image, affine.numpy().astype(np.float64), (HAND_CROP_SIZE, HAND_CROP_SIZE)))
    output = network(torch.cat([image_crop, image_crop.flip(-1)]))
    assert (output.presence_logits > 3).all()
    left, right = output.side_logits
    assert left < -1
    assert right > 1
    points, mirrored = output.landmarks[..., :2]
    assert_close(mirrored[:, 0].mean(), HAND_CROP_SIZE - 1 - points[:, 0].mean(), atol=4, rtol=0)
    in_photograph = np.linalg.inv(np.vstack([affine.numpy(), [0, 0, 1]])) @ np.vstack([points.T.numpy(), np.ones(21)])
    assert in_photograph[1].argmin() == 4
    assert_close(torch.from_numpy(in_photograph[:2, 4]), torch.tensor([233.0, 72.0]).double(), atol=20, rtol=0)
