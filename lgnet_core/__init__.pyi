from .inference import HandEstimator, HandTracker
from .io.calibration import read_camera
from .io.images import read_image
from .types import Camera, Hand, Side, TwoHands

__version__: str

__all__ = [
    "Camera",
    "Hand",
    "HandEstimator",
    "HandTracker",
    "Side",
    "TwoHands",
    "read_camera",
    "read_image",
]
