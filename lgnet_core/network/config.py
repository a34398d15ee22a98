"""Network configurations and presets. All values are JSON-serialisable and stored in checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from lgnet_core.network.backbones.factory import BACKBONES


@dataclass(frozen=True)
class LGFAVariant:
    """Architecture of an LGFA module; see :data:`LGFA_VARIANTS`.

    Args:
        depth: blocks in each of the two steps. heads: attention heads of each block. norm: pre-norm.
        shared: both steps use the same blocks.
        eanet_extras: position embeddings, output projections and a linear layer after each step.
    """

    depth: int = 1
    heads: int = 4
    norm: bool = True
    shared: bool = False
    eanet_extras: bool = False


LGFA_VARIANTS: dict[str, LGFAVariant] = {
    "literal": LGFAVariant(heads=1, norm=False, shared=True),
    "default": LGFAVariant(),
    "eanet": LGFAVariant(depth=4, eanet_extras=True),
}
"""``literal`` is the paper's Algorithm 1; ``eanet`` is the fuse former of EANet, from which LGFA was derived."""
LOCAL_GRAPHS = ("mesh63", "grid", "none")
GRAPH_LAYERS = ("gin", "chebyshev")
PROJECTIONS = ("full", "weak")
INTERACTIONS = ("lgblock", "local", "global", "eablock", "cascade", "none")

_CHOICES = {
    "backbone": tuple(BACKBONES),
    "lgfa": tuple(LGFA_VARIANTS),
    "local_graph": LOCAL_GRAPHS,
    "graph_layer": GRAPH_LAYERS,
    "refine_projection": PROJECTIONS,
    "interaction": INTERACTIONS,
}


def _validate(config: Any, multiples: dict[str, tuple[int, str]]) -> None:
    """Raise a ValueError that names the first invalid setting of a configuration of any kind.

    Args:
        multiples: for each setting that must be a positive multiple: of what, and the reason for the message.
    """
    class_name = type(config).__name__
    for name, choices in _CHOICES.items():
        value = getattr(config, name, choices[0])
        if value not in choices:
            raise ValueError(f"{class_name}.{name}: {value!r} is unknown; choose one of {choices}")
    for name, (unit, reason) in multiples.items():
        value = getattr(config, name)
        if value <= 0 or value % unit:
            raise ValueError(f"{class_name}.{name}: {value}; must be a positive multiple of {unit}{reason}")
    if config.depth_box <= 0:
        raise ValueError(f"{class_name}.depth_box: {config.depth_box} m; must be positive")


@dataclass(frozen=True)
class LGNetConfig:
    """Sizes and switches of LGNet. Names in quotes are rows of the paper's ablation table.

    Args:
        backbone: ``resnet50`` (paper), ``efficientnet_lite0`` or ``hand_landmark``.
        channels: c of the paper: 512 = C / 4 of ResNet-50; 256 in LGNet-Light.
        self_joint_depth: blocks of the self-joint transformer, per hand.
        refine_channels: width of the refine stage's graph network (64 in handAR, from which it is adapted).
        lgfa: variant of the four LGFA modules: ``literal`` (the paper's Algorithm 1: one head, no normalisation,
            weights shared by both steps), ``default`` (pre-norm, four heads, separate weights), ``eanet`` (EANet's fuse
            former: four blocks each, position embeddings, output projections).
        local_graph: graph of the local unit: ``mesh63`` (63 mesh clusters, injected into the map by cross-attention),
            ``grid`` (the cells of the map as an 8-neighbour lattice), ``none`` (the paper's Algorithm 2).
        graph_layer: layer of the local graph: ``gin`` or ``chebyshev`` (K = 2).
        left_right_features: False ("w/o L-R split"): both hands share one feature map.
        lgblock: False ("w/o LGBlock"): the hands' maps are not enhanced and have c channels instead of c + c / 4.
        local_unit: False ("w/o local"): no local graph, LGFA_local or LGFA_R/L; the global unit takes the hands' maps.
        global_unit: False ("w/o global"): each hand is enhanced by its own local feature instead of the common one.
        joint_stage: False ("w/o joint stage"): all joint tokens are the hand's mean feature; ``joints_grid`` is the
            projection of the rough joints.
        mesh_stage: False ("w/o mesh stage"): no self-joint transformer and no hand-model parameters; a graph network
            predicts the rough mesh from the template and the joint tokens. Rotations and shape stay at their means.
        refine_stage: False ("w/o refine stage"): the rough mesh is the final mesh.
        depth_box: edge of the 2.5D joints' depth box, metres, centred on the wrist (0.3 in the paper).
        refine_projection: projection of vertices to pixels: ``full`` perspective with the crop's intrinsics, or the
            predicted ``weak`` perspective (paper).
        refine_smoothing: smoothing of the refine stage's offsets over the mesh, lambda of
            :func:`~lgnet_core.hand_model.fairing.fairing_matrix`; 0 for none (paper).

    Raises:
        ValueError: if a value is invalid or the switches contradict each other.
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
        _validate(self, {"channels": (4, " (heads, c / 4)")})
        if not self.refine_smoothing >= 0:
            raise ValueError(f"LGNetConfig.refine_smoothing: {self.refine_smoothing}; must be 0 (none) or positive")
        if not (self.local_unit or self.global_unit) and self.lgblock:
            raise ValueError("LGNetConfig: local_unit and global_unit are both off; use lgblock=False instead")

    @property
    def enhanced_channels(self) -> int:
        """Channels of F*_h: c + c / 4, or c without the LGBlock."""
        return self.channels + self.channels // 4 if self.lgblock else self.channels

    def paper_variant(self) -> LGNetConfig:
        """The same network with the paper's geometry: depth box of 0.3 m, weak projection, unsmoothed offsets."""
        return replace(self, depth_box=0.3, refine_projection="weak", refine_smoothing=0.0)


@dataclass(frozen=True)
class EANetConfig:
    """Sizes of EANet.

    Args:
        backbone, channels, self_joint_depth, depth_box: as in :class:`LGNetConfig`.

    Raises:
        ValueError: if a value is invalid.
    """

    kind: ClassVar[str] = "eanet"

    backbone: str = "resnet50"
    channels: int = 512
    self_joint_depth: int = 4
    depth_box: float = 0.5

    def __post_init__(self) -> None:
        _validate(self, {"channels": (4, " (heads)")})

    def paper_variant(self) -> EANetConfig:
        """The same network with its authors' depth box of 0.3 m."""
        return replace(self, depth_box=0.3)


@dataclass(frozen=True)
class InterShapeConfig:
    """Sizes of InterShape.

    Args:
        backbone: backbone of both of its networks.
        decoder_channels: width of the transposed convolutions of the heatmap decoders.
        heatmap_depth: voxels of the heatmaps along the depth box; in the image plane, their stride is 4.
        hidden: width of the regressors' four hidden layers.
        depth_box: as in :class:`LGNetConfig`.

    Raises:
        ValueError: if a value is invalid.
    """

    kind: ClassVar[str] = "intershape"

    backbone: str = "resnet50"
    decoder_channels: int = 256
    heatmap_depth: int = 64
    hidden: int = 512
    depth_box: float = 0.5

    def __post_init__(self) -> None:
        _validate(
            self,
            {"decoder_channels": (1, ""), "heatmap_depth": (4, " (every fourth slice is used)"), "hidden": (1, "")},
        )

    def paper_variant(self) -> InterShapeConfig:
        """The same network with its authors' depth box of 0.4 m (InterNet's)."""
        return replace(self, depth_box=0.4)


@dataclass(frozen=True)
class HandLGNetConfig:
    """Sizes and switches of LGNet with one crop per hand.

    Args:
        backbone: ``hand_landmark``, the only choice: the stages also take its landmarks.
        channels: c of the hands' maps and tokens.
        self_joint_depth: blocks of the self-joint transformer.
        hidden_channels, regressor_depth: width and number of residual layers of the hand-model parameter regressor.
        refine_depth: residual blocks of the refine stage, which dominate its cost: 0.6 ms each (2 hands, one core).
        interaction: how the hands exchange information: ``lgblock``; its units ``local`` or ``global`` alone;
            ``eablock`` (EANet's); ``cascade`` (InterShape's, between hand-model parameters); ``none``.
        refine_channels, depth_box, refine_smoothing, refine_stage: as in :class:`LGNetConfig`.

    Raises:
        ValueError: if a value is invalid.
    """

    kind: ClassVar[str] = "lgnet-hand"

    backbone: str = "hand_landmark"
    channels: int = 96
    self_joint_depth: int = 2
    hidden_channels: int = 512
    regressor_depth: int = 3
    refine_channels: int = 32
    refine_depth: int = 1
    interaction: str = "lgblock"
    refine_stage: bool = True
    depth_box: float = 0.5
    refine_smoothing: float = 3.0

    def __post_init__(self) -> None:
        if self.backbone != "hand_landmark":
            raise ValueError(f"HandLGNetConfig.backbone: {self.backbone!r}; the stages need 'hand_landmark'")
        _validate(self, {"channels": (4, " (heads, c / 4)"), "hidden_channels": (1, ""), "refine_channels": (1, "")})

    @property
    def enhanced_channels(self) -> int:
        """Channels of F*_h: c + c / 4 with the LGBlock or one of its units, 2 c with the EABlock, else c."""
        added = {"eablock": self.channels, "cascade": 0, "none": 0}
        return self.channels + added.get(self.interaction, self.channels // 4)

    def paper_variant(self) -> HandLGNetConfig:
        """Not available: the paper has no network with one crop per hand.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "lgnet-hand has no paper variant: the paper uses one crop; choose lgnet-paper or lgnet-light-paper"
        )


NetworkConfig = LGNetConfig | HandLGNetConfig | EANetConfig | InterShapeConfig
"""Configuration of any network. All have ``kind``, ``backbone``, ``depth_box`` and ``paper_variant()``."""
_KINDS: tuple[type[NetworkConfig], ...] = (LGNetConfig, HandLGNetConfig, EANetConfig, InterShapeConfig)
CONFIGS = {config.kind: config for config in _KINDS}
"""Configuration class for each ``kind``."""

PRESETS: dict[str, NetworkConfig] = {
    "lgnet": LGNetConfig(),
    "lgnet-light": LGNetConfig(channels=256),
    "lgnet-hand": HandLGNetConfig(),
    "eanet-hand": HandLGNetConfig(interaction="eablock"),
    "intershape-hand": HandLGNetConfig(interaction="cascade"),
    "lgnet-mini": LGNetConfig(backbone="efficientnet_lite0", channels=192, self_joint_depth=2, refine_channels=64),
    "eanet": EANetConfig(),
    "eanet-mini": EANetConfig(backbone="efficientnet_lite0", channels=192, self_joint_depth=2),
    "intershape": InterShapeConfig(),
    "intershape-mini": InterShapeConfig(
        backbone="efficientnet_lite0", decoder_channels=64, heatmap_depth=32, hidden=256
    ),
}
"""``lgnet`` and ``lgnet-light`` are the paper's networks. ``lgnet-hand``, with one crop per hand, is this project's and
has bundled weights; ``eanet-hand`` and ``intershape-hand`` are the same network with the baselines' interaction between
the hands. ``eanet`` and ``intershape`` are the baselines. The ``-mini`` presets use EfficientNet-Lite0 in all of them,
for comparisons with equal backbones."""

SWITCHES = (
    *("left_right_features", "lgblock", "local_unit", "global_unit"),
    *("joint_stage", "mesh_stage", "refine_stage"),
)
"""Switches that ``-without-PART`` in a preset name turns off: the rows of the paper's ablation."""
_PARTS: dict[str, dict[str, dict[str, Any]]] = {
    LGNetConfig.kind: {switch.replace("_", "-"): {switch: False} for switch in SWITCHES},
    HandLGNetConfig.kind: {
        "lgblock": {"interaction": "none"},
        "local-unit": {"interaction": "global"},
        "global-unit": {"interaction": "local"},
        "refine-stage": {"refine_stage": False},
    },
}
"""For each kind of network, the changes of its configuration for ``-without-PART``."""
_WITHOUT, _PAPER = "-without-", "-paper"


def preset_names() -> Iterator[str]:
    """All names that :func:`find_config` accepts."""
    for name in PRESETS:
        variants = ("",) if isinstance(PRESETS[name], HandLGNetConfig) else ("", _PAPER)
        for without in ("", *(_WITHOUT + part for part in _parts(name))):
            yield from (name + without + variant for variant in variants)


def _parts(preset: str) -> dict[str, dict[str, Any]]:
    """Parts that a preset can be built without; variants with another network's interaction have none."""
    config = PRESETS[preset]
    return {} if getattr(config, "interaction", "lgblock") != "lgblock" else _PARTS.get(config.kind, {})


def find_config(name: str) -> NetworkConfig:
    """Look up a configuration by name.

    Args:
        name: of a preset; with ``-without-PART``, LGNet without one of its parts (``lgnet-mini-without-refine-stage``);
            with the suffix ``-paper``, the ``paper_variant()`` of either.

    Raises:
        ValueError: if there is no such preset or part.
    """
    base, _, part = name.removesuffix(_PAPER).partition(_WITHOUT)
    preset = PRESETS.get(base)
    if preset is None:
        raise ValueError(
            f"preset {name!r} is unknown; choose one of {', '.join(PRESETS)}, optionally with the suffix {_PAPER}"
        )
    if part:
        parts = _parts(base)
        if part not in parts:
            known = f"can be built without {', '.join(parts)}" if parts else "has no parts that can be left out"
            raise ValueError(f"preset {name!r}: unknown part; {base} {known}")
        preset = replace(preset, **parts[part])
    return preset.paper_variant() if name.endswith(_PAPER) else preset


def preset_name(config: NetworkConfig) -> str:
    """Name of the preset with this configuration, or ``"custom"``."""
    return next((name for name in preset_names() if find_config(name) == config), "custom")
