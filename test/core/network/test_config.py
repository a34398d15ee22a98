"""Network configurations: presets, names, validation, JSON round trip."""

import json
from dataclasses import asdict, replace
from itertools import product

import pytest

from lgnet_core.network.config import (
    PRESETS,
    SWITCHES,
    EANetConfig,
    HandLGNetConfig,
    InterShapeConfig,
    LGNetConfig,
    find_config,
    preset_names,
)

LGNETS = {name: config for name, config in PRESETS.items() if isinstance(config, LGNetConfig)}


def test_presets_match_the_paper():
    assert PRESETS["lgnet"] == LGNetConfig(backbone="resnet50", channels=512, self_joint_depth=4)
    assert replace(PRESETS["lgnet-light"], channels=512) == PRESETS["lgnet"]
    assert PRESETS["lgnet-light"].channels == 256
    mini = PRESETS["lgnet-mini"]
    assert (mini.backbone, mini.channels, mini.self_joint_depth) == ("efficientnet_lite0", 192, 2)
    assert [p.enhanced_channels for p in LGNETS.values()] == [640, 320, 240]


@pytest.mark.parametrize("name", LGNETS)
def test_paper_variant_changes_only_the_geometry(name):
    paper = find_config(f"{name}-paper")
    assert (paper.depth_box, paper.refine_projection, paper.refine_smoothing) == (0.3, "weak", 0.0)
    assert replace(paper, depth_box=0.5, refine_projection="full", refine_smoothing=3.0) == find_config(name)


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_json_round_trip(config):
    assert type(config)(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(("name", "box"), [("eanet", 0.3), ("intershape-mini", 0.4)])
def test_paper_variants_of_baselines_have_their_authors_depth_box(name, box):
    assert find_config(f"{name}-paper") == replace(PRESETS[name], depth_box=box)


@pytest.mark.parametrize(("switch", "suffix"), list(product(SWITCHES, ("", "-paper"))))
def test_name_without_a_part_turns_its_switch_off(switch, suffix):
    full = find_config(f"lgnet-mini{suffix}")
    assert find_config(f"lgnet-mini-without-{switch.replace('_', '-')}{suffix}") == replace(full, **{switch: False})


def test_preset_names_are_unique_configurations():
    configs = [find_config(name) for name in preset_names()]
    assert all(configs.count(config) == 1 for config in configs)
    per_hand = 1 + 4 + 2  # lgnet-hand, without one of its parts, and with a baseline's interaction; no paper variants
    assert len(configs) == 3 * (1 + len(SWITCHES)) * 2 + per_hand + 4 * 2


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("lgnet-hand-without-lgblock", {"interaction": "none"}),
        ("lgnet-hand-without-local-unit", {"interaction": "global"}),
        ("lgnet-hand-without-global-unit", {"interaction": "local"}),
        ("lgnet-hand-without-refine-stage", {"refine_stage": False}),
        ("eanet-hand", {"interaction": "eablock"}),
        ("intershape-hand", {"interaction": "cascade"}),
    ],
)
def test_variants_with_one_crop_per_hand(name, change):
    assert find_config(name) == replace(find_config("lgnet-hand"), **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "resnet18"}, "resnet50"),
        ({"lgfa": "big"}, "eanet"),
        ({"local_graph": "mesh"}, "mesh63"),
        ({"graph_layer": "gcn"}, "chebyshev"),
        ({"refine_projection": "none"}, "weak"),
        ({"channels": 30}, "multiple of 4"),
        ({"channels": 0}, "multiple of 4"),
        ({"depth_box": 0.0}, "positive"),
        ({"local_unit": False, "global_unit": False}, "lgblock=False"),
    ],
)
def test_invalid_setting_raises(change, message):
    with pytest.raises(ValueError, match=message):
        LGNetConfig(**change)


def test_unknown_preset_raises_with_the_known_ones():
    with pytest.raises(ValueError, match="lgnet-mini"):
        find_config("lgnet-nano")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lgnet-without-thumbs", r"lgnet can be built without .*joint-stage.*refine-stage"),
        ("lgnet-hand-without-joint-stage", "without lgblock, local-unit, global-unit, refine-stage$"),
        ("eanet-without-lgblock", "eanet has no parts"),
        ("eanet-hand-without-lgblock", "eanet-hand has no parts"),
    ],
)
def test_unknown_part_raises_with_the_known_ones(name, message):
    with pytest.raises(ValueError, match=message):
        find_config(name)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (EANetConfig, {"backbone": "vgg"}, "resnet50"),
        (EANetConfig, {"channels": 30}, "multiple of 4"),
        (LGNetConfig, {"refine_smoothing": -1.0}, "none"),
        (HandLGNetConfig, {"interaction": "lgfa"}, "cascade"),
        (InterShapeConfig, {"heatmap_depth": 6}, "multiple of 4"),
        (InterShapeConfig, {"hidden": 0}, "positive"),
        (InterShapeConfig, {"depth_box": -1.0}, "positive"),
    ],
)
def test_invalid_setting_of_any_network_raises(kind, change, message):
    with pytest.raises(ValueError, match=rf"{kind.__name__}.*{message}"):
        kind(**change)
