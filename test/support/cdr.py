"""An encoder of ROS messages to CDR, written from the standard (OMG DDS-XTypes 7.4.1), as a yardstick for bytes."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

PRIMITIVES = {
    "boolean": "?",
    "uint8": "B",
    "int32": "i",
    "uint32": "I",
    "float": "f",
    "double": "d",
}


class Encoder:
    """Little-endian CDR of one message; ``known`` marks the bytes that are not alignment, whose value is nobody's."""

    def __init__(self, message: Any) -> None:
        self.data = bytearray()
        self.known = bytearray()
        self._nested(message)

    def with_head(self) -> tuple[bytes, bytes]:
        """Data and mask with the four bytes of the encapsulation before them."""
        return b"\x00\x01\x00\x00" + bytes(self.data), b"\x01" * 4 + bytes(self.known)

    def assert_same(self, data: bytes) -> None:
        """Alignment left out."""
        reference, known = self.with_head()
        assert len(data) == len(reference)
        mask = np.frombuffer(known, bool)
        difference = (np.frombuffer(data, np.uint8) != np.frombuffer(reference, np.uint8)) & mask
        assert not difference.any(), f"first at byte {difference.argmax()}"

    def _nested(self, message: Any) -> None:
        for name, kind in message.get_fields_and_field_types().items():
            self._value(kind, getattr(message, name))

    def _value(self, kind: str, value: Any) -> None:
        if kind in PRIMITIVES:
            self._put(struct.pack("<" + PRIMITIVES[kind], value), struct.calcsize(PRIMITIVES[kind]))
        elif kind == "string":
            text = value.encode() + b"\0"
            self._put(struct.pack("<I", len(text)), 4)
            self._put(text, 1)
        elif kind.startswith("sequence<"):
            self._put(struct.pack("<I", len(value)), 4)
            for element in value:
                self._value(kind[len("sequence<") : -1], element)
        elif kind.endswith("]"):
            for element in value:
                self._value(kind.partition("[")[0], element)
        else:
            self._nested(value)

    def _put(self, value: bytes, alignment: int) -> None:
        gap = -len(self.data) % alignment
        self.data += bytes(gap) + value
        self.known += bytes(gap) + b"\x01" * len(value)
