"""Vertices out of PLY files, against what was written."""

from __future__ import annotations

import numpy as np
import pytest

from lgnet_core.io.images import InputError
from lgnet_core.io.meshes import read_ply_vertices
from lgnet_core.io.results import write_ply

VERTICES = np.arange(12, dtype=np.float32).reshape(4, 3) / 7
FACES = np.array([[0, 1, 2], [0, 2, 3]])


def test_binary(tmp_path):
    write_ply(tmp_path / "mesh.ply", VERTICES, FACES)
    np.testing.assert_array_equal(read_ply_vertices(tmp_path / "mesh.ply"), VERTICES)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_other_properties_and_byte_orders(tmp_path, order, line):
    """Doubles, with a colour between the coordinates."""
    kind = np.dtype([("x", order + "f8"), ("y", order + "f8"), ("red", "u1"), ("z", order + "f8")])
    rows = np.zeros(4, kind)
    rows["x"], rows["y"], rows["z"] = VERTICES.T
    name = {"<": "binary_little_endian", ">": "binary_big_endian"}[order]
    lines = ["ply", f"format {name} 1.0", "comment from elsewhere", "element vertex 4", "property double x"]
    lines += ["property double y", "property uchar red", "property double z", "element face 0"]
    lines += ["property list uchar int vertex_indices", "end_header", ""]
    (tmp_path / "mesh.ply").write_bytes(line.join(lines).encode() + rows.tobytes())
    np.testing.assert_array_equal(read_ply_vertices(tmp_path / "mesh.ply"), VERTICES)


def test_ascii(tmp_path):
    head = "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    head += "element face 2\nproperty list uchar int vertex_indices\nend_header\n"
    body = "".join(f"{x!r} {y!r} {z!r}\n" for x, y, z in VERTICES.tolist()) + "3 0 1 2\n3 0 2 3\n"
    (tmp_path / "mesh.ply").write_text(head + body)
    np.testing.assert_array_equal(read_ply_vertices(tmp_path / "mesh.ply"), VERTICES)


def test_what_is_no_mesh_is_told(tmp_path):
    path = tmp_path / "mesh.ply"
    with pytest.raises(InputError, match="cannot be read"):
        read_ply_vertices(path)
    path.write_bytes(b"solid stl")
    with pytest.raises(InputError, match="is no PLY file"):
        read_ply_vertices(path)
    write_ply(path, VERTICES, FACES)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="cut short"):
        read_ply_vertices(path)
    path.write_text("ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\n1\nnan\n")
    with pytest.raises(InputError, match="cut short or no PLY"):
        read_ply_vertices(path)
