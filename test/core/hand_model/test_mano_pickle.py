"""Safe unpickling: arrays of forged MANO files, rejection of all other names and opcodes, and malformed data."""

import os
import pickle
import struct
import sys

import numpy as np
import pytest
import scipy.sparse
from support.forged_mano import Chumpy, mano_entries, python_2_pickle, python_3_pickle

from lgnet_core.hand_model import HandModelError, read_asset
from lgnet_core.hand_model.asset import BUNDLED_ASSET
from lgnet_core.hand_model.mano_pickle import read_mano_pickle

DENSE = {"J_regressor", "v_template", "shapedirs"}  # stored as sparse or chumpy objects


@pytest.fixture(scope="module")
def asset():
    return read_asset(BUNDLED_ASSET)


@pytest.fixture
def read(tmp_path):
    """Function that reads a pickle passed as bytes."""

    def read_bytes(content):
        (tmp_path / "MANO_RIGHT.pkl").write_bytes(content)
        return read_mano_pickle(tmp_path / "MANO_RIGHT.pkl")

    return read_bytes


@pytest.mark.parametrize(
    ("write", "protocol"),
    [(python_2_pickle, 0), (python_2_pickle, 2), *((python_3_pickle, protocol) for protocol in range(6))],
)
def test_all_arrays_of_a_forged_mano_file_are_read(asset, read, write, protocol):
    chumpy = Chumpy()
    entries = mano_entries(asset, chumpy)
    read_back = read(write(entries, chumpy, protocol))
    assert set(read_back) == set(entries)
    for key in DENSE:
        np.testing.assert_array_equal(read_back[key], getattr(asset, key).astype(np.float64))
    for key in set(entries) - DENSE:
        np.testing.assert_array_equal(read_back[key], entries[key])
    assert "chumpy" not in sys.modules


@pytest.mark.parametrize("form", ["csc", "csr", "coo"])
@pytest.mark.parametrize("write", [python_2_pickle, python_3_pickle])
def test_sparse_matrices_are_converted_to_dense(read, form, write):
    """Random matrices with empty rows and columns, and duplicate entries."""
    rng = np.random.default_rng(0)
    rows, columns, values = rng.integers(0, 5, 12), rng.integers(0, 9, 12), rng.normal(size=12)
    matrix = scipy.sparse.coo_matrix((values, (rows, columns)), shape=(6, 10)).asformat(form)
    np.testing.assert_allclose(read(write({"m": matrix}, Chumpy(), 2))["m"], matrix.toarray())


def test_plain_arrays_of_all_types(read):
    arrays = {
        "scalar": np.float32(1.5),
        "big_endian": np.arange(4, dtype=">i2"),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "flags": np.array([True, False]),
        "zero-dimensional": np.array(3, np.uint8),
    }
    for protocol in (2, 4, 5):
        read_back = read(pickle.dumps(arrays, protocol))
        for key, array in arrays.items():
            np.testing.assert_array_equal(read_back[key], array)
            assert read_back[key].dtype == array.dtype


def test_other_entries_are_dropped(read):
    assert read(pickle.dumps({"a": [1, 2], "b": None, "c": {"d": 1}, "e": "text", "f": {1, 2}}, 2)) == {"e": "text"}


class Call:
    """Pickled as a call of ``function`` with ``arguments``."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def pickled_call(module, name, argument, protocol=2):
    """A hand-written pickle that calls ``module.name(argument)``."""
    text = pickle.BINUNICODE + struct.pack("<I", len(argument)) + argument.encode()
    if protocol < 4:
        function = pickle.GLOBAL + f"{module}\n{name}\n".encode()
    else:
        parts = (pickle.SHORT_BINUNICODE + bytes([len(part)]) + part.encode() for part in (module, name))
        function = b"".join(parts) + pickle.STACK_GLOBAL
    return pickle.PROTO + bytes([protocol]) + function + text + pickle.TUPLE1 + pickle.REDUCE + pickle.STOP


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("__builtin__", "eval"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("importlib", "import_module"),
        ("runpy", "run_path"),
        ("numpy.testing._private.utils", "runstring"),
        ("numpy.f2py.crackfortran", "myeval"),
        ("numpy", "load"),
        ("numpy", "fromfile"),
        ("numpy.core.multiarray", "fromfile"),
        ("numpy.core.multiarray", "ndarray"),
        ("scipy.sparse", "load_npz"),
        ("scipy.sparse.csc", "__builtins__"),
        ("chumpy.ch", "ChLambda"),
        ("chumpy.utils", "timer"),
        ("copy_reg", "__newobj__"),
        ("copyreg", "add_extension"),
        ("_codecs", "decode"),
        ("torch", "load"),
        ("lgnet_core.hand_model.mano_pickle", "_Inert"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_forbidden_names_are_rejected_and_reported(read, tmp_path, module, name, protocol):
    marker = tmp_path / "ran"
    with pytest.raises(HandModelError) as rejected:
        read(pickled_call(module, name, f"touch {marker}", protocol))
    assert f"the pickle refers to {module}.{name}, " in str(rejected.value)
    assert "MANO_RIGHT.pkl: rejected" in str(rejected.value)
    assert not marker.exists()


@pytest.mark.parametrize(
    "path", ["ndarray.__class__", "ndarray.__init__.__globals__", "dtype.__subclasses__", "Ch.__setstate__"]
)
def test_dotted_names_are_rejected(read, path):
    module = "chumpy" if path.startswith("Ch") else "numpy"
    with pytest.raises(HandModelError, match=rf"refers to {module}\.{path}"):
        read(pickled_call(module, path, "x", protocol=4))


@pytest.mark.parametrize("protocol", range(6))
def test_malicious_objects_inside_a_valid_file_are_rejected(asset, read, tmp_path, protocol):
    """A call hidden in an array entry, a chumpy state, a sparse matrix, a key, a dtype's state."""
    marker = tmp_path / "ran"
    trap = Call(os.system, f"touch {marker}")
    chumpy = Chumpy()
    sparse = scipy.sparse.csc_matrix(np.eye(3))
    sparse.maxprint = trap
    for poison in (
        {"extra": trap},
        {"shapedirs": chumpy.make("Ch", x=trap)},
        {"shapedirs": chumpy.make("Select", a=trap, idxs=np.arange(3))},
        {"J_regressor": sparse},
        {trap: 1},
        {"posedirs": np.array([trap], dtype=object)},
    ):
        with pytest.raises(HandModelError, match=r"refers to (posix|nt|os)\.system"):
            read(python_3_pickle({**mano_entries(asset, chumpy), **poison}, chumpy, protocol))
        assert not marker.exists()


def test_stubs_record_state_without_applying_it(read):
    """Setting the state of a stub class, setting items of a stub and calling one are errors without side effects."""
    state = b"cchumpy.ch\nCh\n)\x81}(X\x0c\x00\x00\x00__setstate__K\x01X\x01\x00\x00\x00xK\x02ub"
    assert read(b"\x80\x02}X\x01\x00\x00\x00k" + state + b"s.")["k"] == 2
    cases = {
        "class": b"cchumpy.ch\nCh\n}(X\x0c\x00\x00\x00__setstate__K\x01ub",
        "class, slots": b"cchumpy.ch\nCh\nN}(X\x0c\x00\x00\x00__setstate__K\x01u\x86b",
        "encoder": b"c_codecs\nencode\n}(X\x08\x00\x00\x00__code__K\x01ub",
        "items": b"cchumpy.ch\nCh\n)\x81K\x01K\x02s",
        "append": b"cchumpy.ch\nCh\n)\x81K\x01a",
        "call an instance": b"cchumpy.ch\nCh\n)\x81)R",
        "call a text": b"X\x02\x00\x00\x00os)R",
    }
    for name, body in cases.items():
        for wrap in (b"\x80\x02" + body + b".", b"\x80\x02}X\x01\x00\x00\x00k" + body + b"s."):
            with pytest.raises(HandModelError):
                read(wrap)
        chumpy = Chumpy()
        good = read(python_2_pickle({"x": chumpy.array(np.arange(3))}, chumpy))
        assert good["x"].tolist() == [0, 1, 2], name


@pytest.mark.parametrize(
    "content",
    [
        pickle.PERSID + b"os.system\n.",
        b"\x80\x02X\x01\x00\x00\x00a" + pickle.BINPERSID + b".",
        b"\x80\x02" + pickle.EXT1 + b"\x01.",
        b"\x80\x05" + pickle.NEXT_BUFFER + b".",
        b"\x80\x05C\x01a" + pickle.READONLY_BUFFER + b".",
    ],
)
def test_opcodes_that_refer_outside_the_file_are_unsupported(read, content):
    with pytest.raises(HandModelError, match="not a readable pickle"):
        read(content)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02]" + pickle.LONG_BINPUT + b"\xff\xff\xff\xff.",
        b"\x80\x05" + pickle.BYTEARRAY8 + struct.pack("<Q", 2**46) + b".",
        b"\x80\x04" + pickle.BINBYTES8 + struct.pack("<Q", 2**46) + b".",
        b"\x80\x04" + pickle.FRAME + struct.pack("<Q", 2**46) + b"N.",
    ],
)
def test_claimed_sizes_allocate_no_memory(read, content):
    with pytest.raises(HandModelError):
        read(content)


def forged_array(shape, code="f8", content=b"\0" * 8):
    class Raw:
        def __reduce__(self):
            reconstruct, arguments, _ = np.zeros(0).__reduce__()
            return reconstruct, arguments, (1, shape, np.dtype(code), False, content)

    return Raw()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (forged_array((2**40,)), "number of bytes"),
        (forged_array((2,)), "number of bytes"),
        (forged_array((-1,)), "number of bytes"),
        (forged_array((1.0,)), "not made of integers"),
        (forged_array((1,), "V8"), "not numeric"),
        (forged_array((1,), "O"), "not numeric"),
        (forged_array((1,), "i4,i4"), "not numeric"),
        (forged_array((1,), content=[1.0]), "number of bytes"),
    ],
)
def test_malformed_arrays_are_rejected(read, value, message):
    with pytest.raises(HandModelError, match=f"entry 'v' is not an array .*{message}"):
        read(pickle.dumps({"v": value}, 2))


def test_malformed_chumpy_and_sparse_objects_are_rejected(read):
    chumpy = Chumpy()
    endless = chumpy.make("Reshape", newshape=(1,))
    endless.a = endless
    huge = scipy.sparse.csc_matrix(np.eye(3))
    huge._shape = (10**6, 10**6)
    outside = scipy.sparse.csc_matrix(np.eye(3))
    outside.indices = np.array([0, 1, 7], np.int32)
    negative = scipy.sparse.coo_matrix(np.eye(3))
    negative.coords = (np.array([0, 1, -1], np.int32), negative.coords[1])
    unfit = scipy.sparse.csr_matrix(np.eye(3))
    unfit.indptr = np.array([0, 9, 1, 3], np.int32)
    for value, message in (
        (endless, "nested too deeply"),
        (chumpy.make("Select", a=chumpy.array(np.zeros(3)), idxs=np.array([5])), "out of bounds"),
        (chumpy.make("Ch"), "without its required parts"),
        (chumpy.make("Ch", x="text"), "without its required parts"),
        (chumpy.make("Ch", x=["text"]), "a list that is not numeric"),
        (huge, r"sparse matrix of shape \(1000000, 1000000\)"),
        (outside, "out of bounds"),
        (negative, "do not match"),
        (unfit, "does not match"),
    ):
        with pytest.raises(HandModelError, match=f"entry 'v' is not an array .*{message}"):
            read(python_3_pickle({"v": value}, chumpy, 2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"  <!DOCTYPE html><html><body>Please log in", "is a web page, not the model: the download needs a login"),
        (b"PK\x03\x04rest", "is a zip archive: unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"plain text", "not a readable pickle"),
        (pickle.dumps([1, 2]), "holds a list, not a dictionary"),
    ],
)
def test_other_files_are_rejected(read, content, message):
    with pytest.raises(HandModelError, match=rf"MANO_RIGHT\.pkl: .*{message}.*https://mano\.is\.tue\.mpg\.de"):
        read(content)


def test_files_truncated_at_any_position_are_rejected(asset, read):
    chumpy = Chumpy()
    whole = python_2_pickle(mano_entries(asset, chumpy), chumpy)
    small = pickle.dumps({"a": np.eye(3)}, 2)
    assert read(small)["a"].shape == (3, 3)
    for content, ends in ((small, range(len(small))), (whole, range(0, len(whole), len(whole) // 20))):
        for end in ends:
            with pytest.raises(HandModelError):
                read(content[:end])


def test_missing_and_oversized_files_are_rejected(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file; download"):
        read_mano_pickle(tmp_path / "MANO_LEFT.pkl")
    with open(tmp_path / "large.pkl", "wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(HandModelError, match="200,000,000 bytes are too many for a MANO hand"):
        read_mano_pickle(tmp_path / "large.pkl")
