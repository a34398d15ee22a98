"""From pictures to hands: engines that run the network, detection of regions, placement, the estimator."""

from lgnet_core.inference.detection import RegionDetector, WholePictureDetector
from lgnet_core.inference.engine import Engine, OutOfMemoryError, free_memory
from lgnet_core.inference.engine_choice import make_engine
from lgnet_core.inference.estimator import HandEstimator
from lgnet_core.inference.regions import Region
from lgnet_core.inference.smoothing import Smoothing
from lgnet_core.inference.tracking import HandTracker

__all__ = [
    "Engine",
    "HandEstimator",
    "HandTracker",
    "OutOfMemoryError",
    "Region",
    "RegionDetector",
    "Smoothing",
    "WholePictureDetector",
    "free_memory",
    "make_engine",
]
