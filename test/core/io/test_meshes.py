"""PLY meshes: vertices read back from binary and ASCII files, the binary layout, and invalid files."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest

from lgnet_core.io.files import InputError
from lgnet_core.io.meshes import read_ply_vertices, write_ply

VERTICES = np.arange(12, dtype=np.float32).reshape(4, 3) / 7
FACES = np.array([[0, 1, 2], [0, 2, 3]])


def test_binary_round_trip(tmp_path):
    write_ply(tmp_path / "mesh.ply", VERTICES, FACES)
    np.testing.assert_array_equal(read_ply_vertices(tmp_path / "mesh.ply"), VERTICES)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_additional_properties_and_byte_orders(tmp_path, order, line):
    """Double coordinates with a colour property between them."""
    kind = np.dtype([("x", order + "f8"), ("y", order + "f8"), ("red", "u1"), ("z", order + "f8")])
    rows = np.zeros(4, kind)
    rows["x"], rows["y"], rows["z"] = VERTICES.T
    name = {"<": "binary_little_endian", ">": "binary_big_endian"}[order]
    lines = ["ply", f"format {name} 1.0", "comment another writer", "element vertex 4", "property double x"]
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


def test_invalid_files_are_rejected(tmp_path):
    path = tmp_path / "mesh.ply"
    with pytest.raises(InputError, match="no such file"):
        read_ply_vertices(path)
    path.write_bytes(b"solid stl")
    with pytest.raises(InputError, match="is not a PLY file"):
        read_ply_vertices(path)
    write_ply(path, VERTICES, FACES)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="is truncated"):
        read_ply_vertices(path)
    path.write_text("ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\n1\nnan\n")
    with pytest.raises(InputError, match="is truncated or not a valid PLY mesh"):
        read_ply_vertices(path)


def test_binary_layout(tmp_path):
    """Little-endian floats, then one byte and three integers per face."""
    rng = np.random.default_rng(0)
    vertices, faces = rng.normal(size=(778, 3)), rng.integers(0, 778, (1538, 3))
    write_ply(tmp_path / "a.ply", vertices, faces)
    header, body = (tmp_path / "a.ply").read_bytes().split(b"end_header\n")
    assert header.startswith(b"ply\nformat binary_little_endian 1.0\n")
    counts = re.findall(rb"element (?:vertex|face) (\d+)", header)
    assert [int(count) for count in counts] == [778, 1538]
    read = struct.unpack("<" + "f" * 3 * 778, body[: 12 * 778])
    np.testing.assert_allclose(np.reshape(read, (778, 3)), vertices, rtol=1e-6)
    rows = list(struct.iter_unpack("<B3i", body[12 * 778 :]))
    np.testing.assert_array_equal(rows, np.column_stack([np.full(1538, 3), faces]))
