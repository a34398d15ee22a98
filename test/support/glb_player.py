"""A reader of animated GLB files, written from the specification and independent of the writer."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

_TYPES = {5126: "<f4", 5123: "<u2", 5125: "<u4"}
_SIZES = {"SCALAR": 1, "VEC3": 3}


class GlbPlayer:
    """The triangles that a viewer shows at a time of the animation, world coordinates (y up)."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON"
        assert size % 4 == 0
        self.tree: dict[str, Any] = json.loads(data[20 : 20 + size])
        self._bytes = b""
        if 20 + size < len(data):
            length, kind = struct.unpack_from("<I4s", data, 20 + size)
            assert kind == b"BIN\0"
            self._bytes = data[28 + size :]
            assert length == len(self._bytes) == self.tree["buffers"][0]["byteLength"]

    def array(self, number: int) -> np.ndarray:
        accessor = self.tree["accessors"][number]
        view = self.tree["bufferViews"][accessor["bufferView"]]
        assert view["byteOffset"] % 4 == 0
        part = self._bytes[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        values = np.frombuffer(part, _TYPES[accessor["componentType"]]).reshape(accessor["count"], -1)
        assert values.shape[1] == _SIZES[accessor["type"]]
        if "min" in accessor:
            np.testing.assert_array_equal(accessor["min"], values.min(0).astype(float))
            np.testing.assert_array_equal(accessor["max"], values.max(0).astype(float))
        return values.astype(np.float64) if values.dtype.kind == "f" else values

    def at(self, time: float) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Vertices (V, 3), faces (F, 3) and unit normals (V, 3) of each visible mesh, by the name of its node."""
        root = self.tree["nodes"][self.tree["scenes"][0]["nodes"][0]]
        turn = Rotation.from_quat(root["rotation"]).as_matrix()
        shown: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        for number in root.get("children", ()):
            node = self.tree["nodes"][number]
            animated = self._animated(number, time)
            scale = animated.get("scale", np.array(node.get("scale", [1.0, 1.0, 1.0])))
            if not scale.any():
                continue
            mesh = self.tree["meshes"][node["mesh"]]
            (primitive,) = mesh["primitives"]
            targets = primitive.get("targets", [])
            weights = animated.get("weights", np.zeros(len(targets)))
            positions, normals = (
                self.array(primitive["attributes"][key])
                + sum(w * self.array(target[key]) for w, target in zip(weights, targets))
                for key in ("POSITION", "NORMAL")
            )
            assert node["name"] not in shown, "two meshes of one hand at a time"
            normals = (normals / np.linalg.norm(normals, axis=1, keepdims=True)) @ turn.T
            vertices = (positions * scale + node["translation"]) @ turn.T
            shown[node["name"]] = vertices, self.array(primitive["indices"]).reshape(-1, 3), normals
        return shown

    def _animated(self, node: int, time: float) -> dict[str, np.ndarray]:
        """Values of the animated properties of a node."""
        values = {}
        for animation in self.tree.get("animations", ()):
            for channel in animation["channels"]:
                if channel["target"]["node"] != node:
                    continue
                sampler = animation["samplers"][channel["sampler"]]
                times, output = self.array(sampler["input"])[:, 0], self.array(sampler["output"])
                keys = output.reshape(len(times), -1)
                assert (np.diff(times) > 0).all()
                if sampler["interpolation"] == "STEP":
                    value = keys[max(0, np.searchsorted(times, time, "right") - 1)]
                else:
                    value = np.array([np.interp(time, times, column) for column in keys.T])
                values[channel["target"]["path"]] = value
        return values
