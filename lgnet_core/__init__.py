"""Perception of two interacting hands from one RGB image: joints, meshes and their relation, without ROS.

The names below are imported on first use, so that ``import lgnet_core`` is fast.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
