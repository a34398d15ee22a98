"""Calibrations of a recording: an image's own, an equal one, or the last one; never that of another camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.bags import camera_info, header

from lgnet_core.messages.camera_info_lookup import CameraInfoLookup
from lgnet_core.messages.invalid_message import InvalidMessageError
from lgnet_core.types import Camera

CAMERA = Camera(np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]]), 64, 48)


def zoomed(factor: float) -> Camera:
    return replace(CAMERA, matrix=np.diag([factor, factor, 1]) @ CAMERA.matrix)


def focal(info) -> float:
    return info.k[0]


def test_an_image_gets_its_own():
    infos = CameraInfoLookup([camera_info(zoomed(k), 100 * k) for k in (1, 2, 3)], 3)
    assert [focal(infos.lookup(header(100 * k))) for k in (3, 1, 2)] == [150, 50, 100]


def test_a_missing_one_is_replaced_only_by_equal_ones():
    constant = CameraInfoLookup([camera_info(CAMERA, 100 * k) for k in (1, 3)], 3)
    assert focal(constant.lookup(header(200))) == 50
    varying = CameraInfoLookup([camera_info(zoomed(k), 100 * k) for k in (1, 3)], 3)
    with pytest.raises(InvalidMessageError, match="own camera_info is missing") as error:
        varying.lookup(header(200))
    assert error.value.key == "camera_late"


def test_a_rare_one_applies_until_the_next():
    infos = CameraInfoLookup([camera_info(zoomed(1), 100), camera_info(zoomed(2), 500)], 50)
    assert [focal(infos.lookup(header(stamp))) for stamp in (50, 120, 499, 501, 900)] == [50, 50, 50, 100, 100]


def test_another_camera_has_no_calibration():
    infos = CameraInfoLookup([camera_info(CAMERA, 100, "other")], 1)
    assert infos.lookup(header(100)) is None
    assert focal(infos.lookup(header(100, ""))) == 50
    assert focal(CameraInfoLookup([camera_info(CAMERA, 100, "")], 1).lookup(header(100))) == 50
