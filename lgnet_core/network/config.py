"""What a network is made of: one value per choice, JSON-simple, so that a checkpoint carries it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from lgnet_core.network.backbones.efficientnet import BACKBONES

LGFA_FORMS = ("literal", "default", "eanet")
LOCAL_GRAPHS = ("mesh63", "grid", "none")
GRAPH_LAYERS = ("gin", "chebyshev")
PROJECTIONS = ("full", "weak")

_CHOICES = {
    "backbone": tuple(BACKBONES),
    "lgfa": LGFA_FORMS,
    "local_graph": LOCAL_GRAPHS,
    "graph_layer": GRAPH_LAYERS,
    "refine_projection": PROJECTIONS,
}


def _check(config: Any, multiples: dict[str, tuple[int, str]]) -> None:
    """Raise a ValueError that names the setting of any kind of network that makes no sense, and the cure."""
    where = type(config).__name__
    for name, choices in _CHOICES.items():
        value = getattr(config, name, choices[0])
        if value not in choices:
            raise ValueError(f"{where}.{name}: {value!r} is unknown; choose of {choices}")
    for name, (unit, why) in multiples.items():
        value = getattr(config, name)
        if value <= 0 or value % unit:
            raise ValueError(f"{where}.{name}: {value}; give a positive multiple of {unit}{why}")
    if config.depth_box <= 0:
        raise ValueError(f"{where}.depth_box: {config.depth_box} m; give a positive length")


@dataclass(frozen=True)
class LGNetConfig:
    """Size and switches of LGNet. The names in brackets are the rows of the paper's ablation table.

    Args:
        backbone: ``resnet50`` (paper), ``efficientnet_lite0`` or ``hand_landmark``.
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
        refine_smoothing: of the refine stage's offsets over the mesh, lambda of
            :func:`~lgnet_core.network.lgnet.refine_stage.fairing`; 0: as the graph network says them (paper).

    Raises:
        ValueError: if a value is unknown, or the switches contradict each other.
    """

    kind: ClassVar[str] = "lgnet"

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
    refine_smoothing: float = 3.0

    def __post_init__(self) -> None:
        _check(self, {"channels": (4, " (heads, c / 4)")})
        if not self.refine_smoothing >= 0:
            raise ValueError(f"LGNetConfig.refine_smoothing: {self.refine_smoothing}; give 0 (none) or more")
        if not (self.local_unit or self.global_unit) and self.lgblock:
            raise ValueError("LGNetConfig: local and global unit are both off; say lgblock=False instead")

    @property
    def enhanced_channels(self) -> int:
        """Channels of F*_h: c + c / 4, or c without the LGBlock."""
        return self.channels + self.channels // 4 if self.lgblock else self.channels

    def paper_variant(self) -> LGNetConfig:
        """The same network with the paper's geometry: depth box 0.3 m, weak projection and unsmoothed offsets."""
        return replace(self, depth_box=0.3, refine_projection="weak", refine_smoothing=0.0)


@dataclass(frozen=True)
class EANetConfig:
    """Size of EANet.

    Args:
        backbone, channels, self_joint_depth, depth_box: as in :class:`LGNetConfig`.

    Raises:
        ValueError: if a value makes no sense.
    """

    kind: ClassVar[str] = "eanet"

    backbone: str = "resnet50"
    channels: int = 512
    self_joint_depth: int = 4
    depth_box: float = 0.5

    def __post_init__(self) -> None:
        _check(self, {"channels": (4, " (heads)")})

    def paper_variant(self) -> EANetConfig:
        """The same network with its authors' depth box of 0.3 m."""
        return replace(self, depth_box=0.3)


@dataclass(frozen=True)
class InterShapeConfig:
    """Size of InterShape.

    Args:
        backbone: of both of its networks.
        decoder_channels: of the transposed convolutions that make the heatmaps.
        heatmap_depth: voxels of the heatmaps along the depth box; across the image they have a quarter of its pixels.
        hidden: width of the regressors' four hidden layers.
        depth_box: as in :class:`LGNetConfig`.

    Raises:
        ValueError: if a value makes no sense.
    """

    kind: ClassVar[str] = "intershape"

    backbone: str = "resnet50"
    decoder_channels: int = 256
    heatmap_depth: int = 64
    hidden: int = 512
    depth_box: float = 0.5

    def __post_init__(self) -> None:
        _check(self, {"decoder_channels": (1, ""), "heatmap_depth": (4, " (every fourth goes on)"), "hidden": (1, "")})

    def paper_variant(self) -> InterShapeConfig:
        """The same network with its authors' depth box of 0.4 m (InterNet's)."""
        return replace(self, depth_box=0.4)


@dataclass(frozen=True)
class HandLGNetConfig:
    """Size and switches of LGNet on one crop per hand.

    Args:
        backbone: ``hand_landmark``; the stages read its landmarks too, so there is no other choice.
        channels: c of the hands' maps and tokens.
        self_joint_depth: blocks of the self-joint transformer.
        hidden_channels, regressor_depth: width and residual layers of the regressor of the hand model's parameters.
        refine_depth: residual blocks of the refine stage, which are what it costs: 0.6 ms each (2 hands, one core).
        refine_channels, depth_box, refine_smoothing, lgblock, refine_stage: as in :class:`LGNetConfig`.

    Raises:
        ValueError: if a value makes no sense.
    """

    kind: ClassVar[str] = "lgnet-hand"

    backbone: str = "hand_landmark"
    channels: int = 96
    self_joint_depth: int = 2
    hidden_channels: int = 512
    regressor_depth: int = 3
    refine_channels: int = 32
    refine_depth: int = 1
    lgblock: bool = True
    refine_stage: bool = True
    depth_box: float = 0.5
    refine_smoothing: float = 3.0

    def __post_init__(self) -> None:
        if self.backbone != "hand_landmark":
            raise ValueError(f"HandLGNetConfig.backbone: {self.backbone!r}; it reads the landmarks of 'hand_landmark'")
        _check(self, {"channels": (4, " (heads, c / 4)"), "hidden_channels": (1, ""), "refine_channels": (1, "")})

    def paper_variant(self) -> HandLGNetConfig:
        """The paper has no network of this kind.

        Raises:
            ValueError: always.
        """
        raise ValueError("one crop per hand is not the paper's; its variants are lgnet-paper and lgnet-light-paper")


NetworkConfig = LGNetConfig | HandLGNetConfig | EANetConfig | InterShapeConfig
"""What a network is made from. All have a ``kind``, a ``backbone``, a ``depth_box`` and a ``paper_variant()``."""
_KINDS: tuple[type[NetworkConfig], ...] = (LGNetConfig, HandLGNetConfig, EANetConfig, InterShapeConfig)
CONFIGS = {config.kind: config for config in _KINDS}
"""By kind."""

PRESETS: dict[str, NetworkConfig] = {
    "lgnet": LGNetConfig(),
    "lgnet-light": LGNetConfig(channels=256),
    "lgnet-hand": HandLGNetConfig(),
    "lgnet-mini": LGNetConfig(backbone="efficientnet_lite0", channels=192, self_joint_depth=2, refine_channels=64),
    "eanet": EANetConfig(),
    "eanet-mini": EANetConfig(backbone="efficientnet_lite0", channels=192, self_joint_depth=2),
    "intershape": InterShapeConfig(),
    "intershape-mini": InterShapeConfig(
        backbone="efficientnet_lite0", decoder_channels=64, heatmap_depth=32, hidden=256
    ),
}
"""``lgnet`` and ``lgnet-light`` are the paper's two; ``lgnet-hand`` is ours, sees one crop per hand and ships with
weights. ``eanet`` and ``intershape`` are the networks it is compared with; the ``-mini`` ones are those of the paper
and of these on EfficientNet-Lite0, for comparisons on equal terms."""

SWITCHES = (
    *("left_right_features", "lgblock", "local_unit", "global_unit"),
    *("joint_stage", "mesh_stage", "refine_stage"),
)
"""Parts of LGNet that a preset's name can leave out: the rows of the paper's ablation."""
_WITHOUT, _PAPER = "-without-", "-paper"


def preset_names() -> Iterator[str]:
    """Every name that :func:`find_config` takes."""
    for name, config in PRESETS.items():
        parts = SWITCHES if isinstance(config, LGNetConfig) else ()
        variants = ("",) if isinstance(config, HandLGNetConfig) else ("", _PAPER)
        for without in ("", *(_WITHOUT + part.replace("_", "-") for part in parts)):
            yield from (name + without + variant for variant in variants)


def find_config(name: str) -> NetworkConfig:
    """The configuration that a name stands for.

    Args:
        name: a preset's; with ``-without-PART`` LGNet without one of its :data:`SWITCHES`
            (``lgnet-mini-without-refine-stage``); with the suffix ``-paper`` the ``paper_variant()`` of either.

    Raises:
        ValueError: if there is no such preset or part.
    """
    base, _, part = name.removesuffix(_PAPER).partition(_WITHOUT)
    preset = PRESETS.get(base)
    if preset is None:
        raise ValueError(
            f"preset {name!r} is unknown; choose of {', '.join(PRESETS)}, each also with the suffix {_PAPER}"
        )
    if part:
        switch = part.replace("-", "_")
        if switch not in SWITCHES or not isinstance(preset, LGNetConfig):
            parts = ", ".join(switch.replace("_", "-") for switch in SWITCHES)
            raise ValueError(f"preset {name!r}: nothing of that name can be left out; of LGNet: {parts}")
        off: dict[str, Any] = {switch: False}
        preset = replace(preset, **off)
    return preset.paper_variant() if name.endswith(_PAPER) else preset


def preset_name(config: NetworkConfig) -> str:
    """Name of the preset that a configuration is, or ``"custom"``."""
    return next((name for name in preset_names() if find_config(name) == config), "custom")
