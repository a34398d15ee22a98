"""LGNetConfig: presets, refusals, and the way into a checkpoint's metadata and back."""

import json
from dataclasses import asdict, replace

import pytest

from lgnet_core.network.config import PRESETS, LGNetConfig, find_config


def test_presets_are_the_papers_two_and_ours():
    assert PRESETS["lgnet"] == LGNetConfig(backbone="resnet50", channels=512, self_joint_depth=4)
    assert replace(PRESETS["lgnet-light"], channels=512) == PRESETS["lgnet"]
    assert PRESETS["lgnet-light"].channels == 256
    mini = PRESETS["lgnet-mini"]
    assert (mini.backbone, mini.channels, mini.self_joint_depth) == ("efficientnet_lite0", 192, 2)
    assert [p.enhanced_channels for p in PRESETS.values()] == [640, 320, 240]


@pytest.mark.parametrize("name", PRESETS)
def test_paper_variant_changes_geometry_alone(name):
    paper = find_config(f"{name}-paper")
    assert (paper.depth_box, paper.refine_projection) == (0.3, "weak")
    assert replace(paper, depth_box=0.5, refine_projection="full") == find_config(name)


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_survives_json(config):
    assert LGNetConfig(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    ("change", "said"),
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
def test_refuses_and_names_the_cure(change, said):
    with pytest.raises(ValueError, match=said):
        LGNetConfig(**change)


def test_unknown_preset_lists_the_known():
    with pytest.raises(ValueError, match="lgnet-mini"):
        find_config("lgnet-nano")
