"""Parametric hand model: skinning layer, anatomy, mesh graph, the bundled hand, and safe loading of MANO.

The names are imported on first use, so that inference needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
