"""Serialization templates: messages serialised once, whose numeric fields are rewritten in the CDR buffer per image.

rclpy builds messages of nested Python objects and converts each of them when publishing, which for two hands takes
longer than all computations on them. Therefore a message is serialised once with placeholder values; for each image the
numbers are written over the placeholders in the CDR buffer, and rclpy publishes the bytes unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

Field = tuple[type[np.generic], Any]
"""A numeric field: its type in the message, and its value or array of values."""

# 0xFE occurs in no UTF-8 text, hence not in a frame_id, nor in any other constant field of our messages.
_PLACEHOLDER = b"\xfe"
_CACHE_SIZE = 8  # templates per message type: right, left, both and no hands, twice
_ENCAPSULATION_SIZE = 4  # bytes of the CDR header; fields are aligned relative to its end


def placeholder(dtype: type[np.generic]) -> Any:
    """Number of a type whose bytes are all placeholders."""
    return np.frombuffer(_PLACEHOLDER * 8, dtype)[0].item()


def placeholder_header(header: Header) -> Header:
    """The same header with a placeholder stamp."""
    return Header(stamp=Time(sec=placeholder(np.int32), nanosec=placeholder(np.uint32)), frame_id=header.frame_id)


def stamp_fields(header: Header) -> list[Field]:
    """Fields of a header's stamp."""
    return [(np.int32, header.stamp.sec), (np.uint32, header.stamp.nanosec)]


class SerializedTemplate:
    """A serialised message and the locations of its numeric fields.

    Args:
        message: with placeholders in all numeric fields to be written.
        fields: in message order, with the types and shapes that :meth:`fill` will receive; values do not matter.
    """

    def __init__(self, message: Any, fields: Sequence[Field]) -> None:
        data: bytes = serialize_message(message)
        self._buffer = np.frombuffer(bytearray(data), np.uint8)
        self._views = []
        offset = _ENCAPSULATION_SIZE
        for dtype, values in fields:
            size = np.dtype(dtype).itemsize
            length = size * np.size(values)
            offset = data.index(_PLACEHOLDER * length, offset)
            # Padding bytes are uninitialised and may equal the placeholder, so the offset is aligned explicitly.
            offset += (_ENCAPSULATION_SIZE - offset) % size
            self._views.append(self._buffer[offset : offset + length].view(dtype).reshape(np.shape(values)))
            offset += length

    def fill(self, fields: Sequence[Field]) -> bytes:
        """Return the serialised message with these values."""
        for view, (_, values) in zip(self._views, fields):
            view[...] = values
        return self._buffer.tobytes()


class TemplateCache:
    """Serialises messages of one type, with one template per combination of constant fields and array lengths."""

    def __init__(self) -> None:
        self._templates: dict[Hashable, SerializedTemplate] = {}

    def serialize(self, key: Hashable, fields: Sequence[Field], create_message: Callable[[], Any]) -> bytes:
        """Return a serialised message for ``publisher.publish``.

        Args:
            key: identifies everything in the message except the numbers, including their shapes.
            fields: in message order.
            create_message: creates the message with placeholders; called once per new key.
        """
        template = self._templates.get(key)
        if template is None:
            if len(self._templates) == _CACHE_SIZE:
                self._templates.clear()
            template = self._templates[key] = SerializedTemplate(create_message(), fields)
        return template.fill(fields)
