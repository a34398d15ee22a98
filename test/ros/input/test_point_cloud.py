"""Reading the coordinates of point clouds in every layout, and selecting points without losing other fields."""

from __future__ import annotations

import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import PointCloud2, PointField

from lgnet_ros.input.point_cloud import keep_points, read_points

DATATYPES = {"f4": PointField.FLOAT32, "f8": PointField.FLOAT64}


@st.composite
def clouds(draw: st.DrawFn) -> tuple[PointCloud2, np.ndarray, np.dtype]:
    """A cloud with x, y and z in any order and of any type, other bytes between them, and padded rows."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.sampled_from([1, 3])), draw(st.integers(0, 7))
    kind, big = draw(st.sampled_from(["f4", "f8"])), draw(st.booleans())
    order = draw(st.permutations("xyz"))
    size, gap, first = int(kind[1]), draw(st.sampled_from([0, 4])), draw(st.sampled_from([0, 4]))
    offsets = {name: first + k * (size + gap) for k, name in enumerate(order)}
    step = first + 3 * (size + gap) + draw(st.sampled_from([0, 4]))
    layout = np.dtype(
        {
            "names": list("xyz"),
            "formats": [(">" if big else "<") + kind] * 3,
            "offsets": [offsets[name] for name in "xyz"],
            "itemsize": step,
        }
    )
    points = random.normal(size=(height * width, 3)).astype(kind)
    rows = random.integers(0, 256, (height * width, step), np.uint8)
    records = rows.reshape(-1).view(layout)
    for axis, name in enumerate("xyz"):
        records[name] = points[:, axis]
    padding = draw(st.sampled_from([0, 5]))
    padded = np.concatenate([rows.reshape(height, -1), np.zeros((height, padding), np.uint8)], 1)
    fields = [PointField(name=name, offset=offsets[name], datatype=DATATYPES[kind], count=1) for name in order]
    cloud = PointCloud2(
        height=height,
        width=width,
        fields=fields,
        is_bigendian=big,
        point_step=step,
        row_step=width * step + padding,
        data=array.array("B", padded.tobytes()),
    )
    return cloud, points, rows


@given(clouds())
def test_coordinates_of_every_layout(case: tuple[PointCloud2, np.ndarray, np.ndarray]) -> None:
    cloud, points, _ = case
    np.testing.assert_array_equal(read_points(cloud), points)


@given(clouds(), st.integers(0, 2**32))
def test_kept_points_keep_all_their_bytes(case: tuple[PointCloud2, np.ndarray, np.ndarray], seed: int) -> None:
    cloud, points, rows = case
    keep = np.random.default_rng(seed).random(len(points)) < 0.5
    kept = keep_points(cloud, keep)
    data = np.frombuffer(kept.data, np.uint8).reshape(-1, cloud.point_step)
    if cloud.height == 1:
        assert (kept.height, kept.width) == (1, keep.sum())
        np.testing.assert_array_equal(data, rows[keep])
        np.testing.assert_array_equal(read_points(kept), points[keep])
    else:
        assert (kept.height, kept.width) == (cloud.height, cloud.width)
        np.testing.assert_array_equal(data[keep], rows[keep])
        assert np.isnan(read_points(kept)[~keep]).all()
    assert kept.row_step * kept.height == len(kept.data)


@pytest.mark.parametrize("missing", ["x", "z"])
def test_missing_and_short_data_are_named(missing: str) -> None:
    fields = [PointField(name=n, offset=4 * k, datatype=PointField.FLOAT32, count=1) for k, n in enumerate("xyz")]
    cloud = PointCloud2(height=1, width=2, fields=fields, point_step=12, row_step=24, data=array.array("B", bytes(24)))
    assert read_points(cloud).shape == (2, 3)
    cloud.data = array.array("B", bytes(23))
    with pytest.raises(ValueError, match="23 bytes, too few"):
        read_points(cloud)
    next(field for field in fields if field.name == missing).datatype = PointField.UINT8
    with pytest.raises(ValueError, match=f"no field {missing} of type FLOAT32"):
        read_points(cloud)
