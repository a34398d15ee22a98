"""The parametric hand: layer, 21 joints, mesh graph, the bundled hand and the safe reading of MANO."""

from lgnet_core.hand_model.asset import HandAsset, HandModelError, read_asset
from lgnet_core.hand_model.graph import COARSE_NODES, Graph, MeshGraph
from lgnet_core.hand_model.layer import MANO_TO_OPENPOSE, HandMesh, HandModel, load_hand_model
from lgnet_core.hand_model.mano import ManoConversion, convert_mano

__all__ = [
    "COARSE_NODES",
    "MANO_TO_OPENPOSE",
    "Graph",
    "HandAsset",
    "HandMesh",
    "HandModel",
    "HandModelError",
    "ManoConversion",
    "MeshGraph",
    "convert_mano",
    "load_hand_model",
    "read_asset",
]
