"""Alignment of placed hands with a depth map: their scale and distance follow the depth on visible skin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lgnet_core.geometry.depth_scale import measure_scale
from lgnet_core.types import WRIST, Camera, DepthMap, FloatArray, Hand, Side, SizeSource, TwoHands


def measure_scales(hands: Mapping[Side, Hand], depth: DepthMap, camera: Camera) -> dict[Side, float]:
    """Factors of the hands that a depth map determines, see :func:`lgnet_core.geometry.depth_scale.measure_scale`.

    Args:
        hands: metric, at the time of the depth map.

    Raises:
        ValueError: if the depth map has another size than the camera's images.
    """
    if depth.metres.shape != (camera.height, camera.width):
        raise ValueError(
            f"depth: {'x'.join(map(str, depth.metres.shape[::-1]))} pixels, but the image has "
            f"{camera.width}x{camera.height}; register the depth to the image (lgnet_core.geometry.depth_registration)"
        )
    factors = {}
    for side, hand in hands.items():
        others = [other.vertices for other in hands.values() if other is not hand]
        factor = measure_scale(hand, others, depth.metres, camera).factor
        if factor is not None:
            factors[side] = factor
    return factors


def scale_hands(hands: TwoHands, factors: Mapping[Side, float], source: SizeSource) -> TwoHands:
    """Scale hands about the camera's centre, so that their projections remain.

    Args:
        hands: metric.
        factors: of the hands to be scaled; others are unchanged.
        source: of the factors.
    """
    scaled = {
        hand.side: scale_hand(hand, factors[hand.side], source) if hand.side in factors else hand
        for hand in hands.hands
    }
    relative = hands.relative_translation
    if len(scaled) == len(Side):
        relative = scaled[Side.LEFT].joints[WRIST] - scaled[Side.RIGHT].joints[WRIST]
    return replace(hands, right=scaled.get(Side.RIGHT), left=scaled.get(Side.LEFT), relative_translation=relative)


def scale_hand(hand: Hand, factor: float, source: SizeSource) -> Hand:
    """Scale one hand, see :func:`scale_hands`."""
    return replace(
        hand,
        joints=hand.joints * factor,
        vertices=hand.vertices * factor,
        joint_std=hand.joint_std * factor,
        size_source=source,
    )


def interpolate_hand(first: Hand, second: Hand, fraction: float) -> Hand:
    """The surface and the joints of a hand between two images; all else is that of the second.

    Args:
        fraction: 0 for the first image, 1 for the second.
    """

    def between(name: str) -> FloatArray:
        start: FloatArray = getattr(first, name)
        return start + fraction * (getattr(second, name) - start)

    return replace(second, joints=between("joints"), vertices=between("vertices"), joint_std=between("joint_std"))
