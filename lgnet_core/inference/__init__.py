"""Inference: hand detection, association, reconstruction, placement and tracking, from images to hands."""

from lgnet_core.engines.base import Engine, OutOfMemoryError, free_memory
from lgnet_core.engines.factory import make_engine
from lgnet_core.inference.estimator import HandEstimator
from lgnet_core.inference.thresholds import Thresholds
from lgnet_core.inference.tracking.smoothing import Smoothing
from lgnet_core.inference.tracking.tracker import DepthSource, HandTracker

__all__ = [
    "DepthSource",
    "Engine",
    "HandEstimator",
    "HandTracker",
    "OutOfMemoryError",
    "Smoothing",
    "Thresholds",
    "free_memory",
    "make_engine",
]
