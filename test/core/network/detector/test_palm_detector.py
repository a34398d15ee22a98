"""Palm detector with MediaPipe's weights: agreement with LiteRT, anchors, ONNX export, detection in a photograph."""

from __future__ import annotations

from pathlib import Path

import cv2
import onnxruntime
import pytest
import torch
from support.mediapipe_inputs import analytic_image, photograph, tensor
from torch.testing import assert_close

from lgnet_core.engines.export import export_onnx
from lgnet_core.geometry.hand_crops import PALM_KEYPOINTS
from lgnet_core.network.detector.palm_backbone import PalmBackbone
from lgnet_core.network.detector.palm_detector import (
    PALM_CANDIDATES,
    PALM_IMAGE_SIZE,
    PalmDetector,
    anchors,
    load_mediapipe_palm_detector,
)


@pytest.fixture(scope="module")
def detector() -> PalmDetector:
    return load_mediapipe_palm_detector()


@torch.no_grad()
def test_outputs_agree_with_litert(detector: PalmDetector) -> None:
    """Reference values: LiteRT's raw output for the analytic image, decoded manually for one cell of each grid."""
    logits, boxes, keypoints = detector(analytic_image(PALM_IMAGE_SIZE))
    chosen = [0, 1, 700, 1151, 1152, 1158, 1700, 2015]
    expected = [-5.23609, -6.21615, -6.02021, -3.88068, -7.1024, -6.50165, -8.30937, -11.13235]
    assert_close(logits[0, chosen], torch.tensor(expected), atol=1e-3, rtol=0)
    # Candidate 700 is in cell 700 // 2 = 350: row 14, column 14 of 24; its centre is 14.5 * 8 px from the edges.
    u, v, width, height = -0.68926 + 116 - 0.5, 1.744 + 116 - 0.5, 19.89957, 19.90231
    box = [u - width / 2, v - height / 2, u + width / 2, v + height / 2]
    assert_close(boxes[0, 700], torch.tensor(box), atol=1e-3, rtol=0)
    assert_close(keypoints[0, 700, 0], torch.tensor([7.31385 + 115.5, -0.72503 + 115.5]), atol=1e-3, rtol=0)
    # Candidate 1700 is in cell (1700 - 1152) // 6 = 91: row 7, column 7 of 12.
    u, v, width, height = -1.19821 + 119.5, 4.2081 + 119.5, 67.72841, 67.69867
    box = [u - width / 2, v - height / 2, u + width / 2, v + height / 2]
    assert_close(boxes[0, 1700], torch.tensor(box), atol=1e-3, rtol=0)
    assert_close(keypoints[0, 1700, 6], torch.tensor([-4.21894 + 119.5, -2.24213 + 119.5]), atol=1e-3, rtol=0)


def test_anchors_are_the_cell_centres() -> None:
    """The mean of each grid is the image centre, and its first cell is half a cell from the image's edges."""
    centres = anchors()
    assert centres.shape == (PALM_CANDIDATES, 2) == (2016, 2)
    fine, coarse = centres[: 24 * 24 * 2].view(24, 24, 2, 2), centres[24 * 24 * 2 :].view(12, 12, 6, 2)
    for grid, stride in ((fine, 8.0), (coarse, 16.0)):
        assert (grid == grid[:, :, :1]).all()  # equal within a cell
        assert_close(grid.flatten(0, 2).mean(0), torch.full((2,), (PALM_IMAGE_SIZE - 1) / 2))
        assert_close(grid[0, 0, 0], torch.full((2,), stride / 2 - 0.5))
        assert_close(grid[0, 1, 0] - grid[0, 0, 0], torch.tensor([stride, 0.0]))  # columns first
        assert_close(grid[1, 0, 0] - grid[0, 0, 0], torch.tensor([0.0, stride]))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (5, 9), (11, 2)])
@torch.no_grad()
def test_candidates_are_ordered_like_the_anchors(row: int, column: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """If one cell of each map is activated, exactly the candidates with that cell's anchor change."""
    detector = PalmDetector()
    maps = (torch.zeros(1, PalmBackbone.channels, 24, 24), torch.zeros(1, PalmBackbone.coarse_channels, 12, 12))
    zeros, activated = (tuple(x.clone() for x in maps) for _ in range(2))
    for x in activated:
        x[..., row, column] = 1
    outputs = []
    for features in (zeros, activated):
        monkeypatch.setattr(detector.body, "forward", lambda image, features=features: features)
        outputs.append(detector(torch.zeros(1, 3, PALM_IMAGE_SIZE, PALM_IMAGE_SIZE)))
    for before, after in zip(*outputs, strict=True):
        changed = (before != after)[0].flatten(1).any(-1) if before.dim() > 2 else (before != after)[0]
        expected = [[stride * (column + 0.5) - 0.5, stride * (row + 0.5) - 0.5] for stride in (8, 8, *[16] * 6)]
        assert detector.anchors[changed].tolist() == expected


def test_onnx_export_agrees_for_any_batch_size(detector: PalmDetector, tmp_path: Path) -> None:
    export_onnx(detector, tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        image = torch.rand(batch, 3, PALM_IMAGE_SIZE, PALM_IMAGE_SIZE)
        with torch.no_grad():
            expected = detector(image)
        for actual, reference in zip(session.run(None, {"image": image.numpy()}), expected, strict=True):
            assert_close(torch.from_numpy(actual), reference, atol=1e-4, rtol=1e-5)


def test_shapes_and_parameter_counts_of_the_variants() -> None:
    full, lite = PalmDetector(), PalmDetector("lite")
    with torch.no_grad():
        for network in (full, lite):
            shapes = [tuple(x.shape) for x in network.eval()(torch.rand(2, 3, PALM_IMAGE_SIZE, PALM_IMAGE_SIZE))]
            assert shapes == [(2, 2016), (2, 2016, 4), (2, 2016, 7, 2)]
    count = [sum(p.numel() for p in network.parameters()) for network in (full, lite)]
    assert count[1] < count[0] < 1_150_000
    assert "anchors" not in full.state_dict()


def test_image_of_wrong_size_raises(detector: PalmDetector) -> None:
    with pytest.raises(ValueError, match="letterbox it to 192x192"):
        detector(torch.rand(1, 3, 256, 256))


@torch.no_grad()
def test_palm_in_a_photograph_is_detected(detector: PalmDetector) -> None:
    """A hand with its thumb up: the best candidate is on the palm, the knuckles are to the right of the wrist."""
    image = photograph()
    scale = PALM_IMAGE_SIZE / image.shape[1]
    small = cv2.resize(image, (PALM_IMAGE_SIZE, round(image.shape[0] * scale)), interpolation=cv2.INTER_AREA)
    above = (PALM_IMAGE_SIZE - len(small)) // 2
    below = PALM_IMAGE_SIZE - len(small) - above
    candidates = detector(tensor(cv2.copyMakeBorder(small, above, below, 0, 0, cv2.BORDER_CONSTANT)))
    best = int(candidates.logits[0].argmax())
    assert candidates.logits[0, best].sigmoid() > 0.9
    left, top, right, bottom = (candidates.boxes[0, best] + 0.5) / scale
    assert 120 < left < 200 < 300 < right < 360  # edges of the palm, annotated by eye
    assert 120 < top - above / scale < 240 < 280 < bottom - above / scale < 440
    points = dict(zip(PALM_KEYPOINTS, candidates.keypoints[0, best], strict=True))
    assert points["thumb_2"][1] < points["thumb_1"][1] < points["wrist"][1]
    assert all(points[f"{finger}_1"][0] > points["wrist"][0] for finger in ("index", "middle", "ring", "pinky"))
    assert points["index_1"][1] < points["middle_1"][1] < points["ring_1"][1] < points["pinky_1"][1]
    confident = candidates.boxes[0, candidates.logits[0] > 0]
    assert (confident - candidates.boxes[0, best]).abs().max() < 5  # all confident candidates are the same palm
