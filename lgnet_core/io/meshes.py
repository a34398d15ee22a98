"""Triangle meshes in PLY files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lgnet_core.io.files import InputError, read_bytes
from lgnet_core.io.output import write_bytes
from lgnet_core.types import FloatArray


def read_ply_vertices(path: Path) -> NDArray[np.float32]:
    """Read the vertices (V, 3) of an ASCII or binary PLY file, in the order and units of the file.

    Raises:
        InputError: if the file is missing, is not a PLY file, is truncated, or has no finite vertices.
    """
    from trimesh.exchange.ply import load_ply  # takes a second to import, and only data sets need it

    data = read_bytes(path)
    if not data.startswith(b"ply"):
        raise InputError(f"{path}: is not a PLY file; extract it again")
    try:
        vertices = np.asarray(load_ply(BytesIO(data), fix_texture=False)["vertices"]).astype(np.float32)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or not np.isfinite(vertices).all():
            raise ValueError(f"vertices of shape {vertices.shape}, or not finite")
    except Exception as error:  # the parser of trimesh has no exception type of its own
        raise InputError(f"{path}: is truncated or not a valid PLY mesh ({error}); extract it again") from error
    return vertices


def write_ply(path: str | Path, vertices: FloatArray, faces: FloatArray) -> None:
    """Write a triangle mesh as binary PLY.

    Shapes:
        vertices: (V, 3) metres; faces: (F, 3) indices, counter-clockwise seen from outside.

    Raises:
        OutputError: if the file cannot be written.
    """
    header = (
        "ply\nformat binary_little_endian 1.0\ncomment metres\n"
        f"element vertex {len(vertices)}\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.empty(len(faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    write_bytes(Path(path), header.encode("ascii") + np.asarray(vertices, "<f4").tobytes() + rows.tobytes())
