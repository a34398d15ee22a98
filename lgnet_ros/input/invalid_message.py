"""Why a message from a camera was not used."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "image_encoding": "an encoding or compression that is not a colour or grey image, or not known",
    "image_size": "no pixels, too few, or too many",
    "image_step": "rows shorter than their pixels",
    "image_data": "more or fewer bytes than height and step say",
    "image_compressed": "compressed data that are damaged or cut short",
    "camera_size": "calibration of another size than the image's",
    "camera_roi": "region of interest outside of the calibrated image",
    "camera_values": "intrinsics that are no camera's: NaN, infinite, not positive",
    "camera_model": "a distortion model that is not supported",
}
"""Key of each reason, and what it means. Keys are stable: diagnostics count by them."""


class InvalidMessageError(ValueError):
    """An image or calibration that cannot be used. It is dropped and counted; the node goes on.

    Args:
        key: one of ``REASONS``.
        text: what is wrong with this message, and how to mend it.
    """

    def __init__(self, key: str, text: str) -> None:
        assert key in REASONS
        super().__init__(text)
        self.key = key
