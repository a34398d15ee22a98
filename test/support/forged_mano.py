"""Forged MANO files for the tests: the bundled hand's arrays, pickled as MANO's authors and their users did."""

import contextlib
import io
import pickle
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.sparse

from lgnet_core.hand_model.asset import PARENTS

PYTHON_2_NAMES = {
    "builtins": "__builtin__",
    "copyreg": "copy_reg",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "scipy.sparse._csc": "scipy.sparse.csc",
    "scipy.sparse._csr": "scipy.sparse.csr",
    "scipy.sparse._coo": "scipy.sparse.coo",
}


class Chumpy:
    """Objects with the state that chumpy's have when pickled; their class is only there while pickling."""

    @staticmethod
    def classes():
        modules = {name: types.ModuleType(name) for name in ("chumpy", "chumpy.ch", "chumpy.reordering")}
        made = {}
        for module, name in (("chumpy.ch", "Ch"), ("chumpy.reordering", "Select"), ("chumpy.reordering", "Reshape")):
            made[name] = type(name, (), {"__module__": module})
            setattr(modules[module], name, made[name])
        return modules, made

    def __init__(self):
        self.modules, self.made = self.classes()

    @contextlib.contextmanager
    def importable(self):
        sys.modules.update(self.modules)
        try:
            yield
        finally:
            for name in self.modules:
                sys.modules.pop(name, None)

    def make(self, name, **state):
        made = self.made[name]()
        made.__dict__.update(_dirty_vars={"x"}, _itr=None, _status="new", **state)
        return made

    def array(self, x):
        return self.make("Ch", x=np.asarray(x))

    def select(self, array):
        """``array`` as chumpy's x[:, :, :n] leaves it: picked from a longer, flattened one."""
        longer = np.concatenate([array, np.full_like(array[..., :1], 9.0)], -1)
        picked = np.arange(longer.size).reshape(longer.shape)[..., :-1]
        return self.make("Select", a=self.array(longer), idxs=picked.ravel(), preferred_shape=array.shape)

    def reshape(self, array):
        return self.make("Reshape", a=self.array(array.ravel()), newshape=array.shape)


def mano_entries(asset, chumpy, double=True):
    """What is in MANO_RIGHT.pkl or MANO_LEFT.pkl."""
    kind = np.float64 if double else np.float32
    return {
        "hands_components": asset.hands_components.astype(kind),
        "f": asset.faces.astype(np.uint32),
        "J_regressor": scipy.sparse.csc_matrix(asset.J_regressor.astype(kind)),
        "kintree_table": np.stack([np.array([2**32 - 1, *PARENTS[1:]]), np.arange(16)]).astype(np.uint32),
        "J": (asset.J_regressor @ asset.v_template).astype(kind),
        "weights": np.asfortranarray(asset.weights.astype(kind)),
        "posedirs": asset.posedirs.astype(kind),
        "hands_coeffs": np.zeros((5, 45)),
        "bs_style": "lbs",
        "hands_mean": asset.hands_mean.astype(kind),
        "v_template": chumpy.reshape(asset.v_template.astype(kind)),
        "shapedirs": chumpy.select(asset.shapedirs.astype(kind)),
        "bs_type": "lrotmin",
    }


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2's one kind of string, and names as they were called then."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012 - as in the base class

    def save_string(self, value):
        data = value.encode("latin-1") if isinstance(value, str) else value
        if self.proto == 0:
            self.write(pickle.STRING + repr(data)[1:].encode("ascii") + b"\n")
        else:
            self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)
        self.memoize(value)

    def save_global(self, value, name=None):
        name = name or value.__qualname__
        module = pickle.whichmodule(value, name)
        self.write(pickle.GLOBAL + f"{PYTHON_2_NAMES.get(module, module)}\n{name}\n".encode())
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string
    dispatch[types.FunctionType] = save_global


def python_2_pickle(value, chumpy, protocol=2):
    buffer = io.BytesIO()
    with chumpy.importable():
        Python2Pickler(buffer, protocol).dump(value)
    return buffer.getvalue()


def python_3_pickle(value, chumpy, protocol):
    with chumpy.importable():
        return pickle.dumps(value, protocol)


def curled(asset):
    """The hand with a mean pose that bends the fingers, as MANO's does: by it the two hands are told apart."""
    mean = np.zeros((15, 3), np.float32)
    mean[:12, 2] = 0.4
    return replace(asset, hands_mean=mean.reshape(-1))


def turn_first_coordinate(asset):
    """The fault of MANO_LEFT.pkl, and its remedy."""
    return replace(asset, shapedirs=asset.shapedirs * np.array([[-1], [1], [1]], np.float32))


def write_mano(folder: Path, right, left=None, **changes):
    """MANO_RIGHT.pkl and MANO_LEFT.pkl, by default the mirror image with MANO's fault; returns their paths."""
    left = turn_first_coordinate(right.mirrored()) if left is None else left
    paths = folder / "MANO_RIGHT.pkl", folder / "MANO_LEFT.pkl"
    for path, hand in zip(paths, (right, left)):
        chumpy = Chumpy()
        path.write_bytes(python_2_pickle({**mano_entries(hand, chumpy), **changes}, chumpy))
    return paths
