"""Which anchor shall see which palm: hand-made cases, and MediaPipe's own detector on a photograph."""

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
from lgnet_core.training.palms.labels import (
    BOX_SCALE,
    NEGATIVE,
    PalmTargets,
    anchor_overlap,
    label_from_teacher,
    label_palms,
    lay_over,
    palm_boxes,
)

FINE = 24 * 24 * 2
SHOWN, HIDDEN = torch.tensor([True]), torch.tensor([False])


def palm(u: float, v: float, side: float) -> Tensor:
    """(7, 2) keypoints whose square has that centre and that side."""
    offsets = torch.tensor([[0.0, 0.5], [-0.3, -0.5], [-0.1, -0.5], [0.1, -0.5], [0.3, -0.4], [-0.3, 0.3], [-0.3, 0.1]])
    return torch.tensor([u, v]) + offsets * side / BOX_SCALE


def label(*palms: Tensor, shown: Tensor | None = None) -> PalmTargets:
    shown = torch.ones(len(palms), dtype=torch.bool) if shown is None else shown
    return label_palms(torch.stack(palms) if palms else torch.zeros(0, 7, 2), shown, anchors())


def kinds(targets: PalmTargets) -> set[int]:
    """Of the eight kinds of anchors, which shall see a palm."""
    kind = torch.cat([torch.arange(FINE) % 2, 2 + torch.arange(PALM_CANDIDATES - FINE) % 6])
    return set(kind[targets.fitted].tolist())


def test_the_square_of_a_palm_moves_and_grows_with_it():
    keypoints = palm(80.0, 60.0, 40.0)
    assert_close(palm_boxes(keypoints), torch.tensor([60.0, 40.0, 100.0, 80.0]))
    assert_close(palm_boxes(3 * keypoints + 7), 3 * palm_boxes(keypoints) + 7)


def test_an_anchor_of_the_same_square_overlaps_wholly_and_one_beside_it_not():
    """The third kind of anchor is 48 px wide; shifted by a third of its side two equal squares share a half."""
    centre = anchors()[FINE]
    boxes = palm_boxes(torch.stack([palm(float(centre[0]) + shift, float(centre[1]), 48.0) for shift in (0, 16, 48)]))
    assert_close(anchor_overlap(boxes, anchors())[FINE], torch.tensor([1.0, 0.5, 0.0]))


@pytest.mark.parametrize(
    ("side", "expected"), [(9, {0}), (20, {0}), (30, {0, 1}), (46, {1, 2, 3}), (100, {4, 5, 6, 7}), (190, {5, 6, 7})]
)
def test_small_palms_are_seen_by_small_anchors_and_large_ones_by_large(side, expected):
    """However small or large, a palm is some anchor's, with its own box and keypoints."""
    keypoints = palm(103.5, 87.5, float(side))  # a coarse cell's centre
    targets = label(keypoints)
    assert kinds(targets) == expected
    assert_close(targets.boxes[targets.fitted], palm_boxes(keypoints).expand(int(targets.fitted.sum()), 4))
    assert (targets.keypoints[targets.fitted] == keypoints).all()
    assert (targets.scores == targets.fitted.float()).all()


def test_of_two_palms_an_anchor_sees_the_one_that_it_overlaps_more():
    left, right = palm(71.5, 95.5, 48.0), palm(119.5, 95.5, 48.0)
    targets = label(left, right)
    for fitted, keypoints in zip(anchors()[targets.fitted], targets.keypoints[targets.fitted], strict=True):
        assert (keypoints == (left if fitted[0] < 95.5 else right)).all()
    assert {float(x[0, 0]) for x in targets.keypoints[targets.fitted]} == {71.5, 119.5}


def test_nothing_is_asked_near_a_hidden_palm_nor_between_the_limits():
    hidden, shown = label(palm(87.5, 87.5, 40.0), shown=HIDDEN), label(palm(87.5, 87.5, 40.0))
    assert not hidden.fitted.any()
    assert (hidden.known <= shown.known).all()
    assert (~hidden.known)[shown.fitted].all()
    overlap = anchor_overlap(palm_boxes(palm(87.5, 87.5, 40.0)[None]), anchors())[:, 0]
    assert (hidden.known == (overlap < NEGATIVE)).all()
    between = ~shown.known
    assert between.any()
    assert not (between & shown.fitted).any()


def test_an_image_without_palms_asks_for_none_anywhere():
    targets = label()
    assert targets.known.all()
    assert not targets.fitted.any()
    assert [x.shape for x in targets] == [x.shape for x in label(palm(50, 50, 20))]


def test_what_is_taught_is_left_out_where_the_teacher_is_unsure():
    scores = torch.tensor([0.9, 0.5, 0.3, 0.06, 0.04])
    candidates = PalmCandidates(scores.logit(), torch.rand(5, 4), torch.rand(5, 7, 2))
    targets = label_from_teacher(candidates)
    assert targets.known.tolist() == [True, True, False, False, True]
    assert targets.fitted.tolist() == [True, True, False, False, False]
    assert_close(targets.scores, scores)


def test_a_palm_that_is_laid_over_is_seen_and_one_that_is_covered_is_not_asked_for():
    """Three palms below: one is left free, one is covered, and one lies under the palm of the upper image."""
    free, covered, under = palm(39.5, 39.5, 30.0), palm(39.5, 151.5, 30.0), palm(151.5, 95.5, 30.0)
    upper = palm(152.5, 96.5, 30.0)
    cover = torch.zeros(192, 192)
    cover[120:, :80] = 1
    below, above = label(free, covered, under), label(upper)
    targets = lay_over(below, above, cover)
    assert (targets.known & targets.fitted)[above.fitted].all()
    assert (targets.keypoints[above.fitted] == upper).all()
    of_free, of_covered = (label(keypoints).fitted for keypoints in (free, covered))
    assert targets.fitted[of_free].all()
    assert not (targets.known | targets.fitted)[of_covered].any()
    assert not targets.scores[targets.known & ~targets.fitted].any()


@torch.no_grad()
def test_mediapipes_detector_follows_these_rules():
    """On a photograph of one hand the palm's anchors by the rule are those that fire, and the box is the rule's."""
    image = photograph()
    small = cv2.resize(image, (192, round(image.shape[0] * 192 / image.shape[1])), interpolation=cv2.INTER_AREA)
    above = (192 - len(small)) // 2
    square = cv2.copyMakeBorder(small, above, 192 - len(small) - above, 0, 0, cv2.BORDER_CONSTANT)
    candidates = load_mediapipe_palm_detector()(tensor(square))
    best = int(candidates.logits[0].argmax())
    box, keypoints = candidates.boxes[0, best], candidates.keypoints[0, best]
    side = float(box[2] - box[0])
    assert_close(palm_boxes(keypoints), box, atol=0.06 * side, rtol=0)
    targets = label(keypoints)
    scores = candidates.logits[0].sigmoid()
    overlap = anchor_overlap(box[None], anchors())[:, 0]
    assert scores[overlap > 0.55].min() > 0.5
    assert scores[overlap < NEGATIVE].max() < 0.5
    assert int((targets.fitted & (scores > 0.5)).sum()) > 0.7 * int(targets.fitted.sum())
