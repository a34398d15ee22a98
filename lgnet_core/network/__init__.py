"""LGNet, its per-hand variant, and the baseline networks EANet and InterShape.

The names are imported on first use, so that inference, which needs their input and output types, needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
