"""Perception of two interacting hands from one RGB image: joints, meshes and their relation, without ROS.

The names below are imported on first use, so that ``import lgnet_core`` is fast.
"""

import os

import lazy_loader

__version__ = "0.1.0"

# ONNX Runtime (1.29 and newer) reports its use to Microsoft, starting with its import: it writes a device id and a
# database below ~/.cache/Microsoft, and looks up the host to report to some seconds later. The library reads this
# variable only when it is imported, and its Python function disable_telemetry_events() comes after the first report.
# This package is imported before any of its modules, so that no program of ours imports ONNX Runtime without it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
