"""Safe reading of the arrays in MANO's pickles, without executing any code in them.

A pickle is a program that looks up functions by name and calls them. Here every name that MANO's files use is bound to
an inert stub that records its arguments, every other name is rejected, and the arrays are decoded from the records.
Neither chumpy nor scipy is needed, and numpy never receives object state from the file.

Python's pure-Python unpickler is used instead of the C implementation, since it does not allocate memory for sizes that
a file merely claims.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lgnet_core.hand_model.asset import HandModelError

_MAX_FILE_SIZE = 100_000_000  # bytes; MANO's files have 4 MB
_MAX_ARRAY_SIZE = 10_000_000  # entries; MANO's largest has 315,090
_MAX_DEPTH = 8  # nesting of chumpy arrays; MANO has 2
_DOWNLOAD = "download MANO_RIGHT.pkl and MANO_LEFT.pkl again from https://mano.is.tue.mpg.de (mano_v1_2.zip, models/)"


class _Inert:
    """Stub that records constructor arguments and pickled state, and does nothing else."""

    __slots__ = ("arguments", "state")
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Any:
        self = object.__new__(cls)
        self.arguments, self.state = arguments, None
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Object(_Inert):
    """Built-in types in the internal state of chumpy objects; never decoded."""


class _DataType(_Inert): ...


class _Array(_Inert): ...


class _BufferArray(_Inert): ...


class _Scalar(_Inert): ...


class _Sparse(_Inert): ...


class _Csc(_Sparse): ...


class _Csr(_Sparse): ...


class _Coo(_Sparse): ...


class _Chumpy(_Inert): ...


class _Select(_Chumpy): ...


class _Reshape(_Chumpy): ...


class _Reconstructor(_Inert):
    """``copy_reg._reconstructor(class, object, None)``: an empty stub of the class."""

    def __new__(cls, *arguments: Any) -> Any:
        if not (arguments and isinstance(arguments[0], type) and issubclass(arguments[0], _Inert)):
            raise pickle.UnpicklingError("copy_reg._reconstructor of something that is not a class")
        return arguments[0]()


class _Encode(_Inert):
    """``_codecs.encode(text, "latin1")``, as Python 3 stores bytes in old protocols."""

    def __new__(cls, *arguments: Any) -> Any:
        match arguments:
            case (str() as text, "latin1" | "latin-1"):
                return text.encode("latin-1")
        raise pickle.UnpicklingError("_codecs.encode with an encoding other than latin1")


_STUBS: dict[tuple[str, str], type[_Inert]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DataType,
    ("_codecs", "encode"): _Encode,
    ("chumpy", "Ch"): _Chumpy,
    ("chumpy.ch", "Ch"): _Chumpy,
    ("chumpy.reordering", "Select"): _Select,
    ("chumpy.reordering", "Reshape"): _Reshape,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _BufferArray for core in ("core", "_core")},
    **{(f"scipy.sparse.{module}", "csc_matrix"): _Csc for module in ("csc", "_csc")},
    **{(f"scipy.sparse.{module}", "csr_matrix"): _Csr for module in ("csr", "_csr")},
    **{(f"scipy.sparse.{module}", "coo_matrix"): _Coo for module in ("coo", "_coo")},
    **{(module, "_reconstructor"): _Reconstructor for module in ("copy_reg", "copyreg")},
    **{(module, name): _Object for module in ("__builtin__", "builtins") for name in ("object", "set", "frozenset")},
}


def _load_bytearray8(unpickler: Any) -> None:
    """Opcode BYTEARRAY8; unlike the standard library, allocates no more than the file holds."""
    (size,) = struct.unpack("<Q", unpickler.read(8))
    unpickler.append(unpickler.read(size))


_EXTERNAL_OPCODES = (
    pickle.EXT1,
    pickle.EXT2,
    pickle.EXT4,
    pickle.PERSID,
    pickle.BINPERSID,
    pickle.NEXT_BUFFER,
    pickle.READONLY_BUFFER,
)
"""Opcodes that load objects from outside the file."""


class _Unpickler(pickle._Unpickler):
    """Resolves names to stubs only, and supports no opcode that refers to anything outside the file."""

    dispatch = {  # noqa: RUF012 - a class attribute in the base class as well
        **{
            code: action
            for code, action in pickle._Unpickler.dispatch.items()
            if bytes([code]) not in _EXTERNAL_OPCODES
        },
        pickle.BYTEARRAY8[0]: _load_bytearray8,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STUBS[module, name]
        except KeyError:
            raise _ForbiddenNameError(f"{module}.{name}") from None


class _ForbiddenNameError(Exception):
    """A name that is not allowed; its text is the full name."""


def read_mano_pickle(path: str | Path) -> dict[str, Any]:
    """Read the dictionary in MANO_RIGHT.pkl or MANO_LEFT.pkl; nothing in the file is executed.

    The file may have been written by Python 2 or 3, with or without chumpy and scipy objects.

    Returns:
        name -> dense numpy array for array entries, name -> str for strings; all other entries are dropped.

    Raises:
        FileNotFoundError: if there is no such file.
        HandModelError: if the file is not a pickle, is damaged, or refers to anything but arrays (named in the
            message).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {_DOWNLOAD}")
    if path.stat().st_size > _MAX_FILE_SIZE:
        raise HandModelError(f"{path}: {path.stat().st_size:,} bytes are too many for a MANO hand (4 MB); {_DOWNLOAD}")
    content = path.read_bytes()
    _reject_other_files(path, content)
    try:
        unpickler = _Unpickler(io.BytesIO(content), encoding="latin1")
        entries = unpickler.load()
    except _ForbiddenNameError as name:
        raise HandModelError(
            f"{path}: rejected: the pickle refers to {name}, which no MANO file needs and which could execute code; "
            f"nothing was executed. Do not open this file with other tools; {_DOWNLOAD}"
        ) from None
    except Exception as error:  # a damaged pickle can raise any exception
        raise HandModelError(
            f"{path}: not a readable pickle, perhaps truncated ({type(error).__name__}: {error}); {_DOWNLOAD}"
        ) from error
    if not isinstance(entries, dict):
        raise HandModelError(f"{path}: holds a {type(entries).__name__}, not a dictionary of arrays; {_DOWNLOAD}")
    decoded: dict[str, Any] = {}
    for key, value in entries.items():
        if isinstance(value, str):
            decoded[key] = value
        elif isinstance(value, _Inert) and not isinstance(value, _Object):
            try:
                decoded[key] = _decode(value)
            except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
                raise HandModelError(f"{path}: entry {key!r} is not an array ({error}); {_DOWNLOAD}") from error
    return decoded


def _reject_other_files(path: Path, content: bytes) -> None:
    """Report files that are commonly mistaken for the pickle."""
    start = content[:200].lstrip().lower()
    for problem, detected in {
        "is empty": not content,
        "is a web page, not the model: the download needs a login": start.startswith(
            (b"<!doctype", b"<html", b"<?xml")
        ),
        "is a zip archive: unpack it and pass the pickles inside": start.startswith(b"pk\x03\x04"),
        "is a Git LFS pointer, not the file itself": start.startswith(b"version https://git-lfs"),
    }.items():
        if detected:
            raise HandModelError(f"{path}: {problem}; {_DOWNLOAD}")


def _decode(value: Any, depth: int = 0) -> NDArray:
    """The dense array that a stub stands for."""
    if depth > _MAX_DEPTH:
        raise ValueError("arrays nested too deeply")
    match value:
        case _Array(state=(*_, shape, data_type, fortran, content)):
            return _from_bytes(content, data_type, shape, "F" if fortran else "C")
        case _BufferArray(arguments=(content, data_type, shape, order)):
            return _from_bytes(content, data_type, shape, order)
        case _Scalar(arguments=(data_type, content)):
            return _from_bytes(content, data_type, (), "C")
        case _Select(state={"a": source, "idxs": indices, "preferred_shape": shape}):
            return _decode(source, depth + 1).reshape(-1)[_decode(indices, depth + 1)].reshape(_shape(shape, depth))
        case _Select(state={"a": source, "idxs": indices}):
            return _decode(source, depth + 1).reshape(-1)[_decode(indices, depth + 1)]
        case _Reshape(state={"a": source, "newshape": shape}):
            return _decode(source, depth + 1).reshape(_shape(shape, depth))
        case _Chumpy(state={"x": source}):
            return _decode(source, depth + 1)
        case _Sparse(state={"data": data}):
            return _dense(value, _decode(data, depth + 1), depth)
        case int() | float() | list() | tuple():
            return _numbers(value)
    raise TypeError(f"a {type(value).__name__.lstrip('_').lower()} without its required parts")


def _from_bytes(content: Any, data_type: Any, shape: Any, order: str) -> NDArray:
    """A numeric array from its bytes (stored by Python 2 as text, one character per byte)."""
    match data_type:
        case _DataType(arguments=(str() as code, *_), state=None):
            pass
        case _DataType(arguments=(str() as code, *_), state=(_, "<" | ">" | "|" | "=" as byte_order, *_)):
            code = byte_order + code
        case _:
            raise TypeError("an array without a data type")
    if not re.fullmatch(r"[<>=|]?([iu][1248]|f[248]|b1)", code):
        raise TypeError(f"an array of type {code!r}, not numeric")
    dtype = np.dtype(code)
    content = content.encode("latin-1") if isinstance(content, str) else content
    shape = _shape(shape)
    if not isinstance(content, bytes) or math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"an array whose number of bytes does not match shape {shape} and type {dtype}")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if order == "F" else "C")


def _shape(value: Any, depth: int = 0) -> tuple[int, ...]:
    """A shape from a tuple, list or array of integers (-1 is allowed, as in ``reshape``)."""
    sizes = _decode(value, depth + 1).tolist() if isinstance(value, _Inert) else value
    if not isinstance(sizes, (tuple, list)) or not all(isinstance(size, int) for size in sizes):
        raise TypeError("a shape that is not made of integers")
    return tuple(sizes)


def _numbers(value: Any) -> NDArray:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise TypeError("a list that is not numeric")
    return array


def _dense(matrix: _Sparse, data: NDArray, depth: int) -> NDArray:
    """Convert scipy's compressed or coordinate format to a dense matrix; duplicate entries are summed, as in scipy."""
    state = matrix.state
    shape = _shape(state.get("_shape", state.get("shape")))
    if len(shape) != 2 or min(shape) < 0 or math.prod(shape) > _MAX_ARRAY_SIZE:
        raise ValueError(f"a sparse matrix of shape {shape}")
    if isinstance(matrix, _Coo):
        row, column = state["coords"] if "coords" in state else (state["row"], state["col"])
        rows, columns = _decode(row, depth + 1), _decode(column, depth + 1)
    else:
        starts, minor = _decode(state["indptr"], depth + 1), _decode(state["indices"], depth + 1)
        length = shape[1] if isinstance(matrix, _Csc) else shape[0]
        counts = np.diff(starts)
        if starts.shape != (length + 1,) or (counts < 0).any() or counts.sum() != len(data):
            raise ValueError("a sparse matrix whose index pointer does not match its data")
        major = np.repeat(np.arange(length), counts)
        rows, columns = (minor, major) if isinstance(matrix, _Csc) else (major, minor)
    if rows.shape != data.shape or columns.shape != data.shape or (rows < 0).any() or (columns < 0).any():
        raise ValueError("a sparse matrix whose indices do not match its data")
    dense = np.zeros(shape, data.dtype.newbyteorder("="))
    np.add.at(dense, (rows, columns), data)
    return dense
