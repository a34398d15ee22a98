"""Coordinates of the points of a PointCloud2, as arrays that share the message's memory where they can."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

from lgnet_core.types import FloatArray

_TYPES = {PointField.FLOAT32: "f4", PointField.FLOAT64: "f8"}
FIELDS = ("x", "y", "z")


def read_points(cloud: PointCloud2) -> FloatArray:
    """The fields x, y and z, (N, 3) metres.

    Raises:
        ValueError: a field is missing or no float, or the data are shorter than described.
    """
    records = read_records(cloud)
    columns = [records[name] for name in FIELDS]
    if _are_neighbours(cloud):  # a view, not a copy
        first = columns[0]
        return np.lib.stride_tricks.as_strided(first, (len(first), 3), (*first.strides, first.itemsize))
    return np.stack(columns, -1)


def read_records(cloud: PointCloud2) -> FloatArray:
    """The points, (N,) records with the fields x, y and z, each of ``point_step`` bytes; row padding is skipped.

    Raises:
        ValueError: see :func:`read_points`.
    """
    fields = {field.name: field for field in cloud.fields}
    if missing := [name for name in FIELDS if name not in fields or fields[name].datatype not in _TYPES]:
        raise ValueError(
            f"the cloud has no field {', '.join(missing)} of type FLOAT32 or FLOAT64 (its fields: "
            f"{', '.join(fields) or 'none'}); it must have coordinates x, y, z"
        )
    size = cloud.width * cloud.point_step
    if cloud.row_step < size or len(cloud.data) < cloud.row_step * cloud.height:
        raise ValueError(
            f"the cloud has {len(cloud.data)} bytes, too few for {cloud.height} rows of {cloud.row_step} bytes with "
            f"{cloud.width} points of {cloud.point_step} bytes"
        )
    order = ">" if cloud.is_bigendian else "<"
    layout = np.dtype(
        {
            "names": list(FIELDS),
            "formats": [order + _TYPES[fields[name].datatype] for name in FIELDS],
            "offsets": [fields[name].offset for name in FIELDS],
            "itemsize": cloud.point_step,
        }
    )
    rows = np.frombuffer(cloud.data, np.uint8, cloud.row_step * cloud.height).reshape(cloud.height, cloud.row_step)
    if cloud.row_step == size:
        return rows.reshape(-1).view(layout)
    return np.ascontiguousarray(rows[:, :size]).reshape(-1).view(layout)


def keep_points(cloud: PointCloud2, keep: FloatArray) -> PointCloud2:
    """A cloud with some points of another one.

    An organised cloud (of more than one row) keeps its shape: the coordinates of the others become NaN.

    Args:
        keep: (N,) bool.
    """
    records = read_records(cloud)
    # As bytes: NumPy copies only the named fields of a record, and the others (colour, ring) would be lost.
    rows = records.view(np.uint8).reshape(-1, cloud.point_step)
    if cloud.height > 1:
        height, width = cloud.height, cloud.width
        rows = rows.copy()
        coordinates = rows.reshape(-1).view(records.dtype)
        for name in FIELDS:
            coordinates[name][~keep] = np.nan
    else:
        rows = rows[keep]
        height, width = 1, len(rows)
    return PointCloud2(
        header=cloud.header,
        height=height,
        width=width,
        fields=cloud.fields,
        is_bigendian=cloud.is_bigendian,
        point_step=cloud.point_step,
        row_step=width * cloud.point_step,
        data=array.array("B", rows.tobytes()),
        is_dense=cloud.is_dense and height == 1,
    )


def _are_neighbours(cloud: PointCloud2) -> bool:
    """Whether x, y and z stand side by side in this order and have the same type."""
    x, y, z = (next(field for field in cloud.fields if field.name == name) for name in FIELDS)
    size = np.dtype(_TYPES[x.datatype]).itemsize
    return x.datatype == y.datatype == z.datatype and (y.offset - x.offset, z.offset - y.offset) == (size, size)
