"""Target assignment of the palm detector, against hand-computed cases and MediaPipe's detector on a photograph."""

from __future__ import annotations

import cv2
import pytest
import torch
from support.mediapipe_inputs import photograph, tensor
from torch import Tensor
from torch.testing import assert_close

from lgnet_core.network.detector.palm_detector import (
    PALM_CANDIDATES,
    PalmCandidates,
    anchors,
    load_mediapipe_palm_detector,
)
from lgnet_core.training.palms.targets import (
    BOX_SCALE,
    NEGATIVE_IOU,
    PalmTargets,
    anchor_iou,
    assign_targets,
    composite_targets,
    label_from_teacher,
    palm_boxes,
)

FINE = 24 * 24 * 2
OCCLUDED = torch.tensor([False])


def palm(u: float, v: float, side: float) -> Tensor:
    """(7, 2) keypoints of a palm whose square has the given centre and side."""
    offsets = torch.tensor([[0.0, 0.5], [-0.3, -0.5], [-0.1, -0.5], [0.1, -0.5], [0.3, -0.4], [-0.3, 0.3], [-0.3, 0.1]])
    return torch.tensor([u, v]) + offsets * side / BOX_SCALE


def targets_of(*palms: Tensor, visible: Tensor | None = None) -> PalmTargets:
    visible = torch.ones(len(palms), dtype=torch.bool) if visible is None else visible
    return assign_targets(torch.stack(palms) if palms else torch.zeros(0, 7, 2), visible, anchors())


def positive_kinds(targets: PalmTargets) -> set[int]:
    """Kinds of anchors, of eight, that are positive."""
    kind = torch.cat([torch.arange(FINE) % 2, 2 + torch.arange(PALM_CANDIDATES - FINE) % 6])
    return set(kind[targets.positive].tolist())


def test_palm_box_is_equivariant_to_shift_and_scale():
    keypoints = palm(80.0, 60.0, 40.0)
    assert_close(palm_boxes(keypoints), torch.tensor([60.0, 40.0, 100.0, 80.0]))
    assert_close(palm_boxes(3 * keypoints + 7), 3 * palm_boxes(keypoints) + 7)


def test_iou_of_equal_squares():
    """The third kind of anchor is 48 px wide; two equal squares shifted by a third of their side have an IoU of 0.5."""
    centre = anchors()[FINE]
    boxes = palm_boxes(torch.stack([palm(float(centre[0]) + shift, float(centre[1]), 48.0) for shift in (0, 16, 48)]))
    assert_close(anchor_iou(boxes, anchors())[FINE], torch.tensor([1.0, 0.5, 0.0]))


@pytest.mark.parametrize(
    ("side", "expected"), [(9, {0}), (20, {0}), (30, {0, 1}), (46, {1, 2, 3}), (100, {4, 5, 6, 7}), (190, {5, 6, 7})]
)
def test_palms_are_assigned_to_anchors_of_their_size(side, expected):
    """A palm of any size has positive anchors, with its box and keypoints as targets."""
    keypoints = palm(103.5, 87.5, float(side))  # centre of a coarse cell
    targets = targets_of(keypoints)
    assert positive_kinds(targets) == expected
    assert_close(targets.boxes[targets.positive], palm_boxes(keypoints).expand(int(targets.positive.sum()), 4))
    assert (targets.keypoints[targets.positive] == keypoints).all()
    assert (targets.scores == targets.positive.float()).all()


def test_anchor_is_assigned_to_the_palm_with_the_highest_iou():
    left, right = palm(71.5, 95.5, 48.0), palm(119.5, 95.5, 48.0)
    targets = targets_of(left, right)
    for anchor, keypoints in zip(anchors()[targets.positive], targets.keypoints[targets.positive], strict=True):
        assert (keypoints == (left if anchor[0] < 95.5 else right)).all()
    assert {float(x[0, 0]) for x in targets.keypoints[targets.positive]} == {71.5, 119.5}


def test_anchors_near_occluded_palms_and_between_the_thresholds_are_ignored():
    occluded = targets_of(palm(87.5, 87.5, 40.0), visible=OCCLUDED)
    visible = targets_of(palm(87.5, 87.5, 40.0))
    assert not occluded.positive.any()
    assert (occluded.score_mask <= visible.score_mask).all()
    assert (~occluded.score_mask)[visible.positive].all()
    iou = anchor_iou(palm_boxes(palm(87.5, 87.5, 40.0)[None]), anchors())[:, 0]
    assert (occluded.score_mask == (iou < NEGATIVE_IOU)).all()
    ignored = ~visible.score_mask
    assert ignored.any()
    assert not (ignored & visible.positive).any()


def test_all_anchors_of_an_image_without_palms_are_negative():
    targets = targets_of()
    assert targets.score_mask.all()
    assert not targets.positive.any()
    assert [x.shape for x in targets] == [x.shape for x in targets_of(palm(50, 50, 20))]


def test_uncertain_teacher_scores_are_ignored():
    scores = torch.tensor([0.9, 0.5, 0.3, 0.06, 0.04])
    candidates = PalmCandidates(scores.logit(), torch.rand(5, 4), torch.rand(5, 7, 2))
    targets = label_from_teacher(candidates)
    assert targets.score_mask.tolist() == [True, True, False, False, True]
    assert targets.positive.tolist() == [True, True, False, False, False]
    assert_close(targets.scores, scores)


def test_compositing_keeps_visible_palms_and_ignores_covered_ones():
    """Three palms in the background: one uncovered, one covered, and one at the position of the foreground palm."""
    uncovered, covered, replaced = palm(39.5, 39.5, 30.0), palm(39.5, 151.5, 30.0), palm(151.5, 95.5, 30.0)
    foreground_palm = palm(152.5, 96.5, 30.0)
    alpha = torch.zeros(192, 192)
    alpha[120:, :80] = 1
    background, foreground = targets_of(uncovered, covered, replaced), targets_of(foreground_palm)
    targets = composite_targets(background, foreground, alpha)
    assert (targets.score_mask & targets.positive)[foreground.positive].all()
    assert (targets.keypoints[foreground.positive] == foreground_palm).all()
    uncovered_anchors, covered_anchors = (targets_of(keypoints).positive for keypoints in (uncovered, covered))
    assert targets.positive[uncovered_anchors].all()
    assert not (targets.score_mask | targets.positive)[covered_anchors].any()
    assert not targets.scores[targets.score_mask & ~targets.positive].any()


@torch.no_grad()
def test_rules_agree_with_mediapipes_detector():
    """On a photograph of one hand, the assigned anchors are those with high scores, and the box is the same."""
    image = photograph()
    small = cv2.resize(image, (192, round(image.shape[0] * 192 / image.shape[1])), interpolation=cv2.INTER_AREA)
    above = (192 - len(small)) // 2
    square = cv2.copyMakeBorder(small, above, 192 - len(small) - above, 0, 0, cv2.BORDER_CONSTANT)
    candidates = load_mediapipe_palm_detector()(tensor(square))
    best = int(candidates.logits[0].argmax())
    box, keypoints = candidates.boxes[0, best], candidates.keypoints[0, best]
    side = float(box[2] - box[0])
    assert_close(palm_boxes(keypoints), box, atol=0.06 * side, rtol=0)
    targets = targets_of(keypoints)
    scores = candidates.logits[0].sigmoid()
    iou = anchor_iou(box[None], anchors())[:, 0]
    assert scores[iou > 0.55].min() > 0.5
    assert scores[iou < NEGATIVE_IOU].max() < 0.5
    assert int((targets.positive & (scores > 0.5)).sum()) > 0.7 * int(targets.positive.sum())
