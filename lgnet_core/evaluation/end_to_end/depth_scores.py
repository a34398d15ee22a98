"""``--data depth``: depth of the wrist without and with a depth map of a simulated sensor.

Still hands are those of full synthetic images, moving ones those of the script of the demo clip at 20 Hz. The
simulated sensor is that of :mod:`lgnet_core.evaluation.end_to_end.depth_sensor`. A single image does not show the size
of a hand; the hands of the clip, all of the same size, are therefore also scaled about the camera's centre by each of
:data:`SIZES`, which changes their depth but not the images.

Counted are hands that are longer than a tenth of the image width, of which a third of the joints is visible, and that
are found with their side. The error is that of the wrist's depth in per cent of the true one. Hands whose depth map
does not determine their scale count with the error that remains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from lgnet_core.evaluation.end_to_end.boxes import MATCH_IOU, iou, longer_side, skin_box
from lgnet_core.evaluation.end_to_end.depth_sensor import add_background, observe_depth
from lgnet_core.evaluation.end_to_end.pose_calibration import PoseCalibration
from lgnet_core.evaluation.end_to_end.synthetic_full import LARGE_HAND_FRACTION, FullImage, generate_depth_image
from lgnet_core.geometry.camera import project_distorted
from lgnet_core.hand_model import HandModel
from lgnet_core.inference import HandEstimator, HandTracker
from lgnet_core.inference.assembly import FlatLength
from lgnet_core.inference.depth_alignment import scale_hands
from lgnet_core.robotics.hand_length import HandLengthMeter
from lgnet_core.synthetic.demo_animation import render_depth_clip
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.scene.interactions import SceneKind
from lgnet_core.types import WRIST, Camera, DepthMap, FloatArray, Hand, Side, SizeSource, TwoHands

RATE = 20.0
"""Hz of the clip: the depth map of the last frame is 50 ms older than the image."""
SIZES = (0.88, 1.12)
"""Sizes of the clip's hands relative to the mean hand: an adult's range."""
MEASURED_SECONDS = 0.8
"""Of the clip, in which both hands are open and face the camera."""

_TOUCHING = (SceneKind.PALM_TO_PALM, SceneKind.CROSSED, SceneKind.INTERLACED)
WITHOUT, WITH = "without depth", "with depth"

Scores = Mapping[str, Mapping[str, float]]
"""Metrics by method and name."""


class WristDepthScores:
    """Errors of the wrists' depth in one case, without and with depth maps."""

    def __init__(self) -> None:
        self._errors: dict[str, list[float]] = {WITHOUT: [], WITH: []}
        self._scaled: list[bool] = []

    def add(self, true_wrist: FloatArray, without: Hand, with_depth: Hand) -> None:
        """Add a hand; ``true_wrist``: (3,) metres, camera frame."""
        for method, hand in ((WITHOUT, without), (WITH, with_depth)):
            self._errors[method].append(100 * abs(float(hand.joints[WRIST, 2]) / float(true_wrist[2]) - 1))
        self._scaled.append(with_depth.size_source is SizeSource.DEPTH)

    def compute(self) -> Scores:
        scores = {}
        for method, errors in self._errors.items():
            values = np.array(errors or [np.nan])
            scores[method] = {
                "hands": float(len(errors)),
                "error of the wrist's depth, mean, %": float(values.mean()),
                "error of the wrist's depth, median, %": float(np.median(values)),
                "error of the wrist's depth, 90th percentile, %": float(np.percentile(values, 90)),
            }
        scores[WITH]["scaled to this depth map, fraction"] = (
            float(np.mean(self._scaled)) if self._scaled else float("nan")
        )
        return scores


def score_still_hands(
    estimator: HandEstimator, generator: SyntheticHands, count: int, console: Console
) -> dict[str, Scores]:
    """Single images, by what is in front of the hands: nothing, a held object, another hand; and the calibration of the
    poses' covariances."""
    cases = {name: WristDepthScores() for name in ("free hands", "hands with an object", "touching hands")}
    calibrations = {WITHOUT: PoseCalibration(), WITH: PoseCalibration()}
    for index in track(range(count), "still hands", console=console, transient=True):
        image, exact = generate_depth_image(generator, index)
        rng = np.random.default_rng([generator.seed, index])
        measured = observe_depth(add_background(exact, image.camera, rng), image.camera, rng)
        without = estimator.estimate(image.image, image.camera)
        with_depth = estimator.estimate(image.image, image.camera, DepthMap(measured))
        kind = SceneKind(int(generator.scene_kinds(torch.tensor([index]))))
        held = generator.objects_held(torch.tensor([index]))[0]
        for before, after in zip(without.hands, with_depth.hands):
            if _counts(image, before):
                holding = bool(held[before.side]) or kind is SceneKind.HOLDING
                touching = kind in _TOUCHING
                case = "touching hands" if touching else "hands with an object" if holding else "free hands"
                wrist = image.joints[before.side, WRIST]
                cases[case].add(wrist, before, after)
                for method, hand in ((WITHOUT, before), (WITH, after)):
                    calibrations[method].add(hand, wrist, image.roots[before.side])
    scores: dict[str, Scores] = {name: case.compute() for name, case in cases.items()}
    return scores | {"pose errors of all hands": {name: c.compute() for name, c in calibrations.items()}}


def score_moving_hands(estimator: HandEstimator, console: Console) -> dict[str, Scores]:
    """The tracked clip, with depth maps of the same time as the images and with older ones; with depth maps in the
    first images only, which measure the hands' length; and without any, with the average predicted length."""
    clip, exact = render_depth_clip(frames_per_second=RATE)
    stamps = [round(k / RATE * 1e9) for k in range(len(clip.frames))]
    cases = {age: WristDepthScores() for age in (0, 1)}
    measured_length, average_length = WristDepthScores(), WristDepthScores()

    def run(depth_of: Callable[[int], DepthMap | None]) -> list[TwoHands]:
        tracker = HandTracker(estimator)
        return [
            tracker.update(frame, clip.camera, stamp, lambda k=k: depth_of(k))  # type: ignore[misc]
            for k, (frame, stamp) in enumerate(zip(clip.frames, stamps))
        ]

    without = run(lambda k: None)
    for size in track(SIZES, "moving hands", console=console, transient=True):
        measured = []
        for k, depth in enumerate(exact):
            rng = np.random.default_rng([k, round(100 * size)])
            observed = observe_depth(add_background(size * depth, clip.camera, rng), clip.camera, rng)
            measured.append(DepthMap(observed, stamps[k]))
        for age, scores in cases.items():
            with_depth = run(lambda k: measured[k - age] if k >= age else None)  # noqa: B023
            _add_clip(scores, size * clip.joints, clip.presence, without, with_depth)
            if age == 0:
                measured_size = scale_to_measured_length(without, with_depth, clip.camera, estimator.hand_model)
                _add_clip(measured_length, size * clip.joints, clip.presence, without, measured_size)
        averaged_size = scale_to_average_length(without, estimator.hand_model)
        _add_clip(average_length, size * clip.joints, clip.presence, without, averaged_size)
    return {
        "moving hands, only their length measured with depth": measured_length.compute(),
        "moving hands, predicted length averaged over the track, no depth": average_length.compute(),
        "moving hands, depth of the same time": cases[0].compute(),
        f"moving hands, depth {1000 / RATE:.0f} ms older": cases[1].compute(),
    }


def scale_to_measured_length(
    without: Sequence[TwoHands], with_depth: Sequence[TwoHands], camera: Camera, hand_model: HandModel
) -> list[TwoHands]:
    """Hands with the length that each has in the first :data:`MEASURED_SECONDS`, as by ``~/measure_hand``.

    Args:
        without, with_depth: of the same images, estimated without and with depth maps.
    """
    lengths = {}
    for side in Side:
        meter = HandLengthMeter(hand_model)
        for hands in with_depth[: round(MEASURED_SECONDS * RATE)]:
            alone = TwoHands(
                hands.right if side is Side.RIGHT else None, hands.left if side is Side.LEFT else None, None, True
            )
            meter.add(alone, camera)
        lengths[side] = meter.result().metres
    flat = FlatLength(hand_model)
    factors = [{hand.side: lengths[hand.side] / flat(hand.joints) for hand in hands.hands} for hands in without]
    return [scale_hands(hands, f, SizeSource.HAND_LENGTH) for hands, f in zip(without, factors)]


def scale_to_average_length(estimates: Sequence[TwoHands], hand_model: HandModel) -> list[TwoHands]:
    """Hands with the geometric mean of the lengths that were predicted for their track so far."""
    flat, lengths = FlatLength(hand_model), defaultdict[tuple[Side, int], list[float]](list)
    result = []
    for hands in estimates:
        factors = {}
        for hand in hands.hands:
            track_lengths = lengths[hand.side, hand.track_id]
            track_lengths.append(flat(hand.joints))
            factors[hand.side] = float(np.exp(np.log(track_lengths).mean())) / track_lengths[-1]
        result.append(scale_hands(hands, factors, SizeSource.PREDICTED))
    return result


def _add_clip(
    scores: WristDepthScores,
    joints: FloatArray,
    presence: FloatArray,
    without: Sequence[TwoHands],
    with_depth: Sequence[TwoHands],
) -> None:
    for true, present, before, after in zip(joints, presence, without, with_depth, strict=True):
        hands = {hand.side: hand for hand in after.hands}
        for hand in before.hands:
            if present[hand.side] and hand.side in hands:
                scores.add(true[hand.side, WRIST], hand, hands[hand.side])


def _counts(image: FullImage, hand: Hand) -> bool:
    """Whether an estimated hand is that of its side in the image, large and visible."""
    side = Side(hand.side)
    if not (image.presence[side] and image.visible[side]):
        return False
    box = skin_box(project_distorted(image.joints[side], image.camera))
    large = longer_side(box) > LARGE_HAND_FRACTION * image.image.shape[1]
    return large and iou(box, skin_box(hand.joints_2d)) >= MATCH_IOU
