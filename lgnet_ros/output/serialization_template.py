"""Messages as bytes, whose numbers are written anew for each image.

rclpy makes a message of nested Python objects, and looks at each of them again when it is published: for two hands that
takes longer than all that is computed of them. So a message is serialised once, with marks where numbers belong; for
each image its numbers are written over the marks, and rclpy publishes the bytes as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

Numbers = tuple[type[np.generic], Any]
"""Their type in the message, and one number or an array of them."""

# Bytes that are in no UTF-8 text, so that no frame_id can be taken for them, nor any other field of our messages.
_MARK = b"\xfe"
_KEPT = 8  # templates of one kind: right, left, both and no hand, twice
_ENCAPSULATION = 4  # bytes before the message, from whose end on fields are aligned


def mark(dtype: type[np.generic]) -> Any:
    """The number that stands in a template where others belong."""
    return np.frombuffer(_MARK * 8, dtype)[0].item()


def marked_header(header: Header) -> Header:
    """The same frame, and marks where the stamp belongs."""
    return Header(stamp=Time(sec=mark(np.int32), nanosec=mark(np.uint32)), frame_id=header.frame_id)


def stamp_numbers(header: Header) -> list[Numbers]:
    """A header's stamp."""
    return [(np.int32, header.stamp.sec), (np.uint32, header.stamp.nanosec)]


class Template:
    """A serialised message, and where in it numbers stand.

    Args:
        message: with marks where the numbers belong.
        numbers: any of the types and shapes that :meth:`fill` will get, in the order in which they stand in it.
    """

    def __init__(self, message: Any, numbers: Sequence[Numbers]) -> None:
        data: bytes = serialize_message(message)
        self._data = np.frombuffer(bytearray(data), np.uint8)
        self._places = []
        at = _ENCAPSULATION
        for dtype, values in numbers:
            size = np.dtype(dtype).itemsize
            length = size * np.size(values)
            at = data.index(_MARK * length, at)
            # Bytes between fields, there to align them, are not set and may have any value, a mark's too.
            at += (_ENCAPSULATION - at) % size
            self._places.append(self._data[at : at + length].view(dtype).reshape(np.shape(values)))
            at += length

    def fill(self, numbers: Sequence[Numbers]) -> bytes:
        """The message with these numbers."""
        for place, (_, values) in zip(self._places, numbers):
            place[...] = values
        return self._data.tobytes()


class Templates:
    """Writes messages of one kind, with a template for each of the few ways in which they differ but for numbers."""

    def __init__(self) -> None:
        self._templates: dict[Hashable, Template] = {}

    def write(self, key: Hashable, numbers: Sequence[Numbers], make: Callable[[], Any]) -> bytes:
        """A serialised message, for ``publisher.publish``.

        Args:
            key: all that is in the message but numbers, and their shapes.
            numbers: in the order in which they stand in the message.
            make: the message with marks in place of the numbers; called for keys that are new.
        """
        template = self._templates.get(key)
        if template is None:
            if len(self._templates) == _KEPT:
                self._templates.clear()
            template = self._templates[key] = Template(make(), numbers)
        return template.fill(numbers)
