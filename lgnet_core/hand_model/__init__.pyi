from .asset import HandAsset, HandModelError, read_asset
from .graph import COARSE_NODES, Graph, MeshGraph
from .layer import HandLayer, load_hand_layer
from .mano import ManoConversion, convert_mano
from .model import MANO_TO_OPENPOSE, HandMesh, HandModel, load_hand_model

__all__ = [
    "COARSE_NODES",
    "MANO_TO_OPENPOSE",
    "Graph",
    "HandAsset",
    "HandLayer",
    "HandMesh",
    "HandModel",
    "HandModelError",
    "ManoConversion",
    "MeshGraph",
    "convert_mano",
    "load_hand_layer",
    "load_hand_model",
    "read_asset",
]
