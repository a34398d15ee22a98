"""What a network is made of: one value per choice, JSON-simple, so that a checkpoint carries it."""

from __future__ import annotations

from dataclasses import dataclass, replace

BACKBONES = ("resnet50", "efficientnet_lite0")
LGFA_FORMS = ("literal", "default", "eanet")
LOCAL_GRAPHS = ("mesh63", "grid", "none")
GRAPH_LAYERS = ("gin", "chebyshev")
PROJECTIONS = ("full", "weak")

_CHOICES = {
    "backbone": BACKBONES,
    "lgfa": LGFA_FORMS,
    "local_graph": LOCAL_GRAPHS,
    "graph_layer": GRAPH_LAYERS,
    "refine_projection": PROJECTIONS,
}


@dataclass(frozen=True)
class LGNetConfig:
    """Size and switches of LGNet. The names in brackets are the rows of the paper's ablation table.

    Args:
        backbone: ``resnet50`` (paper) or ``efficientnet_lite0``.
        channels: c of the paper: 512 = C / 4 of ResNet-50; 256 in LGNet-Light.
        self_joint_depth: blocks of the self-joint transformer, per hand.
        refine_channels: width of the refine stage's graph network (64 in handAR, from which it comes).
        lgfa: form of the four LGFA modules: ``literal`` (the paper's Algorithm 1: one head, no normalisation, one
            set of weights for both steps), ``default`` (pre-norm, four heads, weights of their own), ``eanet`` (EANet's
            fuse former: four blocks each, position embeddings, output projections).
        local_graph: graph of the local unit: ``mesh63`` (63 mesh clusters, injected into the map by cross-attention),
            ``grid`` (the cells of the map as an 8-neighbour lattice), ``none`` (the paper's Algorithm 2).
        graph_layer: of the local graph: ``gin`` or ``chebyshev`` (K = 2).
        left_right_features: False ("w/o L-R split"): one feature map stands for both hands.
        lgblock: False ("w/o LGBlock"): the hands' maps go on as they are, with c channels instead of c + c / 4.
        local_unit: False ("w/o local"): no local graph, LGFA_local and LGFA_R/L; the global unit sees the hands' maps.
        global_unit: False ("w/o global"): each hand is enhanced by its own local feature, not by the common one.
        joint_stage: False ("w/o joint stage"): the joint tokens all start from the hand's mean feature; ``joints_grid``
            is then the projection of the rough joints.
        mesh_stage: False ("w/o mesh stage"): no self-joint transformer and no hand-model parameters; a graph network
            predicts the rough mesh from the template and the joint tokens. Rotations and shape stay at their means.
        refine_stage: False ("w/o refine stage"): the rough mesh is the result.
        depth_box: edge of the 2.5D joints' depth box, metres, centred on the wrist (0.3 in the paper).
        refine_projection: how vertices find their pixels: ``full`` perspective with the crop's intrinsics, or the
            ``weak`` perspective that the network predicts (paper).

    Raises:
        ValueError: if a value is unknown, or the switches contradict each other.
    """

    backbone: str = "resnet50"
    channels: int = 512
    self_joint_depth: int = 4
    refine_channels: int = 128
    lgfa: str = "default"
    local_graph: str = "mesh63"
    graph_layer: str = "gin"
    left_right_features: bool = True
    lgblock: bool = True
    local_unit: bool = True
    global_unit: bool = True
    joint_stage: bool = True
    mesh_stage: bool = True
    refine_stage: bool = True
    depth_box: float = 0.5
    refine_projection: str = "full"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"LGNetConfig.{name}: {getattr(self, name)!r} is unknown; choose of {choices}")
        if self.channels <= 0 or self.channels % 4:
            raise ValueError(f"LGNetConfig.channels: {self.channels}; give a positive multiple of 4 (heads, c / 4)")
        if self.depth_box <= 0:
            raise ValueError(f"LGNetConfig.depth_box: {self.depth_box} m; give a positive length")
        if not (self.local_unit or self.global_unit) and self.lgblock:
            raise ValueError("LGNetConfig: local and global unit are both off; say lgblock=False instead")

    @property
    def enhanced_channels(self) -> int:
        """Channels of F*_h: c + c / 4, or c without the LGBlock."""
        return self.channels + self.channels // 4 if self.lgblock else self.channels

    def paper_variant(self) -> LGNetConfig:
        """The same network with the paper's geometry: depth box 0.3 m, weak projection in the refine stage."""
        return replace(self, depth_box=0.3, refine_projection="weak")


PRESETS: dict[str, LGNetConfig] = {
    "lgnet": LGNetConfig(),
    "lgnet-light": LGNetConfig(channels=256),
    "lgnet-mini": LGNetConfig(backbone="efficientnet_lite0", channels=192, self_joint_depth=2, refine_channels=64),
}
"""``lgnet`` and ``lgnet-light`` are the paper's two; ``lgnet-mini`` is ours and ships with weights."""


def find_config(name: str) -> LGNetConfig:
    """The preset ``name``, or with the suffix ``-paper`` its :meth:`~LGNetConfig.paper_variant`.

    Raises:
        ValueError: if there is no such preset.
    """
    preset = PRESETS.get(name.removesuffix("-paper"))
    if preset is None:
        raise ValueError(
            f"preset {name!r} is unknown; choose of {', '.join(PRESETS)}, each also with the suffix -paper"
        )
    return preset.paper_variant() if name.endswith("-paper") else preset
