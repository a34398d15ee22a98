"""Vectors along the last axis of an array."""

from __future__ import annotations

from array_api_compat import array_namespace

from lgnet_core.types import Array

_MIN_LENGTH = 1e-12


def normalize(vectors: Array) -> Array:
    """Unit vectors (..., 3) in the direction of vectors (..., 3); zero vectors stay zero."""
    xp = array_namespace(vectors)
    length = xp.linalg.vector_norm(vectors, axis=-1, keepdims=True)
    return vectors / length.clip(_MIN_LENGTH)
