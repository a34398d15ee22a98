"""HOT3D-Clips (Banerjee et al., CVPR 2025): egocentric clips of Project Aria and Quest 3, two hands with objects."""

from lgnet_core.data.hot3d.dataset import HOT3D, SPLITS

__all__ = ["HOT3D", "SPLITS"]
