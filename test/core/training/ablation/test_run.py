"""Ablation of tiny networks."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.train_process import TINY, TINY_HAND
from typer.testing import CliRunner

from lgnet_core.cli.ablate import HAND_ROWS, ROWS
from lgnet_core.cli.app import app
from lgnet_core.evaluation.benchmark.bench import count_macs
from lgnet_core.hand_model import load_hand_layer
from lgnet_core.network import PRESETS, build_network
from lgnet_core.synthetic.generator import SyntheticHands
from lgnet_core.synthetic.stored import write_shards
from lgnet_core.training.ablation import run as ablation
from lgnet_core.training.ablation.published import PUBLISHED
from lgnet_core.training.ablation.run import AblationConfig, ablate
from lgnet_core.training.ablation.table import Table, published_name, reference_of
from lgnet_core.training.train_config import TrainConfig

BACKBONE = "efficientnet_lite0"


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", replace(TINY, backbone="resnet50"))


@pytest.fixture(scope="module")
def stored(hand_model, tmp_path_factory) -> Path:
    return write_shards(tmp_path_factory.mktemp("set"), SyntheticHands(5, hand_model), 6, 64, progress=False)


def config(out: Path, data: Path | str, rows=("tiny", "tiny-without-refine-stage:without-edge"), **changes):
    training = TrainConfig(
        out=out,
        preset="tiny",
        backbone=BACKBONE,
        data=str(data),
        size=64,
        batch_size=2,
        steps=1,
        epoch_steps=1,
        warmup=0,
        validation=2,
        initial="random",
        device="cpu",
        progress=False,
    )
    return AblationConfig(replace(training, **changes), rows, count=4)


def test_per_hand_network_is_a_row(tmp_path, stored, monkeypatch):
    """Its operation count does not depend on the image size."""
    monkeypatch.setitem(PRESETS, "tiny-hand", TINY_HAND)
    (run,) = ablate(config(tmp_path / "a", stored, ("tiny-hand",), backbone=None)).runs
    assert run.figures["mpjpe_mm/wrist-raw"] > 0
    network = build_network(TINY_HAND, load_hand_layer()).eval()
    assert run.macs == count_macs(network)


def test_interrupted_ablation_trains_only_missing_rows(tmp_path, stored, monkeypatch):
    """Restarted after the first row; the table then has both rows."""
    first = ablate(config(tmp_path, stored, ("tiny",)))
    trained = []
    train = ablation.train
    monkeypatch.setattr(ablation, "train", lambda settings: trained.append(settings.preset) or train(settings))
    both = ablate(config(tmp_path, stored))
    assert trained == ["tiny-without-refine-stage"]
    assert [run.row for run in both.runs] == ["tiny", "tiny-without-refine-stage:without-edge"]
    assert both.runs[0] == first.runs[0]

    document = json.loads((tmp_path / "ablation.json").read_text())
    assert document["reduced"]
    assert {"command", "commit", "torch"} <= set(document["machine"])
    assert document["conditions"]["backbone"] == BACKBONE
    for run in document["runs"]:
        assert run["images"] == 2
        assert run["figures"]["mpjpe_mm/wrist-scaled"] > 0
        assert run["mean_pose"] == document["runs"][0]["mean_pose"]
    complete, reduced = (run["parameters"] for run in document["runs"])
    assert reduced < complete
    text = (tmp_path / "ablation.md").read_text()
    assert "REDUCED" in text
    assert document["machine"]["commit"] in text
    settings = json.loads((tmp_path / "tiny-without-refine-stage_without-edge/seed_0/settings.json").read_text())
    assert (settings["losses"], settings["backbone"]) == ("without-edge", BACKBONE)


def test_rejects_other_conditions_in_the_same_folder(tmp_path):
    ablation._check_conditions(tmp_path, ablation._conditions(config(tmp_path, "somewhere")))
    with pytest.raises(ValueError, match=r"other conditions \(batch_size=2\)"):
        ablate(config(tmp_path, "somewhere", batch_size=4))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((), "nothing to compare"),
        (("tiny", "tiny"), "is repeated"),
        (("tiny", "vitnet"), "unknown"),
        (("tiny:heatmaps",), "no such preset"),
        (("tiny-without-thumbs",), "unknown part"),
    ],
)
def test_rejects_invalid_rows_before_training(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        config(tmp_path, "somewhere", rows)


def test_default_rows_have_published_results(tmp_path):
    """LGNet, LGNet-mini, both baselines and four rows of the paper's ablation table, on one backbone."""
    rows = config(tmp_path, "synthetic", ROWS).rows
    assert {"lgnet", "lgnet-mini", "eanet", "intershape"} < set(rows)
    assert sum("-without-" in row for row in rows) >= 4
    assert all(published_name(row) in PUBLISHED for row in rows)
    networks = [config(tmp_path, "synthetic", ROWS).settings(row, 0).network() for row in rows]
    assert {network.backbone for network in networks} == {BACKBONE}


def test_default_rows_with_one_crop_per_hand(tmp_path):
    """Two baselines' interactions, four parts and three losses, all on the frozen landmark network."""
    changes = {"backbone": None, "freeze_backbone": True, "preset": "lgnet-hand"}
    settings = [config(tmp_path, "set", HAND_ROWS, **changes).settings(row, 0) for row in HAND_ROWS]
    assert len(settings) == 1 + 2 + 4 + 3
    assert all(published_name(row) in PUBLISHED and reference_of(row) == "lgnet-hand" for row in HAND_ROWS)
    assert {setting.network().kind for setting in settings} == {"lgnet-hand"}


def test_command_line_options_reach_the_configuration(tmp_path, monkeypatch):
    configs = []
    table = Table({"steps": 7, "batch_size": 2, "size": 64, "backbone": BACKBONE, "data": "x"}, {}, [])
    monkeypatch.setattr(ablation, "ablate", lambda config, console: configs.append(config) or table)
    options = [
        "-p",
        "tiny",
        "-p",
        "eanet-mini",
        "--seed",
        "3",
        "--seed",
        "4",
        "--steps",
        "7",
        "--size",
        "64",
        "-n",
        "5",
    ]
    result = CliRunner().invoke(app, ["ablate", "-o", str(tmp_path), *options])
    assert result.exit_code == 0, result.output
    (parsed,) = configs
    assert (parsed.rows, parsed.seeds, parsed.count) == (("tiny", "eanet-mini"), (3, 4), 5)
    training = parsed.training
    assert (training.steps, training.epoch_steps, training.warmup, training.backbone) == (7, 7, 0, BACKBONE)
