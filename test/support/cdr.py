"""Reference CDR encoder for ROS messages, written from the standard (OMG DDS-XTypes 7.4.1)."""

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
_ENCAPSULATION = b"\x00\x01\x00\x00"  # little-endian CDR


class CdrEncoder:
    """Little-endian CDR encoding of one message; ``mask`` is 0 for padding bytes, whose values are undefined."""

    def __init__(self, message: Any) -> None:
        self.data = bytearray()
        self.mask = bytearray()
        self._encode_message(message)

    def assert_equal(self, data: bytes) -> None:
        """Compare with a serialised message, ignoring padding."""
        expected = _ENCAPSULATION + bytes(self.data)
        mask = np.frombuffer(b"\x01" * len(_ENCAPSULATION) + bytes(self.mask), bool)
        assert len(data) == len(expected)
        difference = (np.frombuffer(data, np.uint8) != np.frombuffer(expected, np.uint8)) & mask
        assert not difference.any(), f"first difference at byte {difference.argmax()}"

    def _encode_message(self, message: Any) -> None:
        for name, field_type in message.get_fields_and_field_types().items():
            self._encode(field_type, getattr(message, name))

    def _encode(self, field_type: str, value: Any) -> None:
        if field_type in PRIMITIVES:
            self._append(struct.pack("<" + PRIMITIVES[field_type], value), struct.calcsize(PRIMITIVES[field_type]))
        elif field_type == "string":
            text = value.encode() + b"\0"
            self._append(struct.pack("<I", len(text)), 4)
            self._append(text, 1)
        elif field_type.startswith("sequence<"):
            self._append(struct.pack("<I", len(value)), 4)
            for element in value:
                self._encode(field_type[len("sequence<") : -1], element)
        elif field_type.endswith("]"):
            for element in value:
                self._encode(field_type.partition("[")[0], element)
        else:
            self._encode_message(value)

    def _append(self, value: bytes, alignment: int) -> None:
        padding = -len(self.data) % alignment
        self.data += bytes(padding) + value
        self.mask += bytes(padding) + b"\x01" * len(value)
