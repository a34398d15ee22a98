"""Error raised for images and calibrations that cannot be used, with its reasons."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "image_encoding": "unknown encoding or compression format, or not a colour or grayscale image",
    "image_size": "empty image, or too few or too many pixels",
    "image_step": "row step smaller than the row's pixels",
    "image_data": "data length does not match height and step",
    "image_compressed": "corrupt or truncated compressed data",
    "camera_late": "the image's own camera_info did not arrive in time, and the calibration varies between images",
    "camera_size": "calibration of a different image size",
    "camera_roi": "region of interest outside the calibrated image",
    "camera_values": "invalid intrinsics: NaN, infinite or not positive",
    "camera_model": "unsupported distortion model",
}
"""Key and meaning of each reason. Keys are stable: the diagnostics count rejected messages by them."""


class InvalidMessageError(ValueError):
    """An image or calibration that cannot be used. The message is dropped and counted; the node continues.

    Args:
        key: one of :data:`REASONS`.
        text: what is wrong with this message, and the remedy.
    """

    def __init__(self, key: str, text: str) -> None:
        assert key in REASONS
        super().__init__(text)
        self.key = key
