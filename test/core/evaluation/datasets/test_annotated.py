"""Evaluation on annotated data sets: an oracle has no error under any protocol, with and without MANO."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from support.oracle_network import OracleNetwork
from support.synthetic_hic import write_hic
from support.synthetic_interhand import SyntheticInterHand, write_interhand

from lgnet_core.evaluation.analysis import AnalysisObservers
from lgnet_core.evaluation.datasets.factory import DatasetConfig, open_images
from lgnet_core.evaluation.evaluate import ALL, evaluate
from lgnet_core.evaluation.protocols.published_protocols import INTERNET, PUBLISHED_PROTOCOLS
from lgnet_core.evaluation.run import run_evaluation
from lgnet_core.evaluation.scores import MetricKey
from lgnet_core.hand_model import HandModel

SIZE = 64


@pytest.fixture(scope="module")
def dataset(mano, tmp_path_factory) -> SyntheticInterHand:
    return write_interhand(tmp_path_factory.mktemp("interhand"), mano, 10)


@pytest.fixture(scope="module")
def config(dataset) -> DatasetConfig:
    return DatasetConfig("interhand26m", dataset.root)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class RecordingDataset:
    """Records the fully labelled batches of what is read from a data set that may know less about the same images."""

    def __init__(self, images, oracle_images) -> None:
        self.images, self.oracle_images, self.batches_read = images, oracle_images, []

    def __getattr__(self, name):
        return getattr(self.images, name)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices, size):
        read = self.images.read(indices, size)
        indices = self.images.set.read(indices.tolist(), size).indices
        self.batches_read.append(self.oracle_images.read(torch.tensor(indices), size).batch)
        return read


def evaluate_oracle(config: DatasetConfig, mano: HandModel, with_mano: bool, change=lambda prediction: prediction):
    """Results and analyses of a network that predicts the fits, with an optional modification."""
    oracle_images = open_images(config, mano, mano)
    images = RecordingDataset(open_images(config, mano, mano if with_mano else None), oracle_images)
    network = OracleNetwork(images, mano, change)
    scores = AnalysisObservers(network, images, config, len(images))
    results = evaluate(network, images, SIZE, batch_size=4, observers=scores.observers)
    return results, scores.compute()


def test_oracle_has_no_error(config, mano):
    results, analyses = evaluate_oracle(config, mano, with_mano=True)
    metrics = results[ALL].weights.metrics
    for key in ("mpjpe_mm", "mpvpe_mm"):
        for protocol in ("wrist-raw", "wrist-scaled", "mcp-raw", "mcp-scaled"):
            assert metrics[MetricKey(key, protocol)] == pytest.approx(0, abs=2e-3)
    assert metrics[MetricKey("presence", "at-half")] == 1
    assert metrics[MetricKey("joints_2d_px256", "in-crop")] == pytest.approx(0, abs=0.02)
    assert set(analyses.protocols) == set(PUBLISHED_PROTOCOLS)
    for protocol, (metrics, _) in analyses.protocols.items():
        assert metrics.mpjpe == pytest.approx(0, abs=2e-3)
        assert metrics.mrrpe == pytest.approx(0, abs=2e-3)
        assert math.isnan(metrics.mpvpe) == (protocol is INTERNET)
    assert [p.name for p, (_, same) in analyses.protocols.items() if same] == ["InterNet"]
    assert analyses.penetration["predicted"] == pytest.approx(analyses.penetration["true"], abs=1e-3)
    assert analyses.notes == []


def test_categories_follow_hand_types(config, dataset, mano):
    results, _ = evaluate_oracle(config, mano, with_mano=True)
    both = int(dataset.truth.presence.all(1).sum())
    assert results["interacting"].images == both
    assert results["single-hand"].images == 10 - both
    assert results["separate"].images == results["no-hand"].images == 0


def test_without_mano_measured_joints_are_evaluated(config, mano):
    results, analyses = evaluate_oracle(config, mano, with_mano=False)
    metrics = results[ALL].weights.metrics
    assert metrics[MetricKey("mpjpe_mm", "mcp-scaled")] == pytest.approx(0, abs=2e-3)
    assert math.isnan(metrics[MetricKey("mpvpe_mm", "wrist-raw")])
    metrics, same = analyses.protocols[INTERNET]
    assert metrics.mpjpe == pytest.approx(0, abs=2e-3)
    assert same
    assert math.isnan(next(f for p, (f, _) in analyses.protocols.items() if p.name == "IntagHand").mpjpe)
    assert "without MANO" in analyses.notes[0]
    assert analyses.penetration["true"]["pairs"] == 0


def test_unmeasured_joints_do_not_count(dataset, mano, tmp_path):
    """An invalid joint, and a hand without a valid wrist, cause no error."""
    changed = dataset.copied(tmp_path / "set")
    image, annotation = changed.data["images"][0], changed.data["annotations"][0]
    step = changed.joints[str(image["capture"])][str(image["frame_idx"])]
    side = int(annotation["hand_type"] == "left")
    step["world_coord"][21 * side + 3] = [9e3, 9e3, 9e3]
    annotation["joint_valid"][21 * side + 3] = 0
    image, annotation = changed.data["images"][1], changed.data["annotations"][1]
    step = changed.joints[str(image["capture"])][str(image["frame_idx"])]
    side = int(annotation["hand_type"] == "left")
    step["world_coord"][21 * side + 20] = [9e3, 9e3, 9e3]
    step["joint_valid"][21 * side + 20] = [0]
    changed.write()
    results, analyses = evaluate_oracle(DatasetConfig("interhand26m", changed.root), mano, with_mano=False)
    for protocol in ("wrist-raw", "mcp-scaled"):
        assert results[ALL].weights.metrics[MetricKey("mpjpe_mm", protocol)] == pytest.approx(0, abs=2e-3)
    assert analyses.protocols[INTERNET][0].mpjpe == pytest.approx(0, abs=2e-3)
    assert analyses.protocols[INTERNET][0].mrrpe == pytest.approx(0, abs=2e-3)


def test_hic_is_evaluated_by_its_meshes(mano, tmp_path):
    """An oracle has no vertex error; a wrong relative translation affects MRRPE only."""
    config = DatasetConfig("hic", write_hic(tmp_path, mano, 4).root)
    images = open_images(config, mano, mano)
    truth = images.read(torch.arange(4), SIZE).truth
    wrists = truth.joints[:, :, :1]
    apart = wrists[:, 1, 0] - wrists[:, 0, 0] - torch.tensor([0.01, 0, 0])

    def meshes(prediction):
        return prediction._replace(
            joints=truth.joints - wrists, vertices=truth.vertices - wrists, relative_translation=apart
        )

    network = OracleNetwork(RecordingDataset(images, images), mano, meshes)
    scores = AnalysisObservers(network, network.images, config, 4)
    results = evaluate(network, network.images, SIZE, batch_size=4, observers=scores.observers)
    assert results[ALL].weights.metrics[MetricKey("mpvpe_mm", "wrist-raw")] == pytest.approx(0, abs=2e-3)
    assert results[ALL].weights.metrics[MetricKey("mrrpe_mm", "regressed")] == pytest.approx(10, abs=2e-3)
    ((protocol, (metrics, same)),) = scores.compute().protocols.items()
    assert (protocol.name, same) == ("InterWild", False)
    assert metrics.mpvpe == pytest.approx(0, abs=2e-3)
    assert metrics.mpjpe == pytest.approx(0, abs=2e-3)  # of the meshes' joints: HIC has no measured ones
    assert metrics.mrrpe == pytest.approx(10, abs=2e-3)
    with pytest.raises(ValueError, match="pass your MANO model"):
        open_images(config, mano)


@pytest.mark.gpu
def test_gpu(config, mano, tmp_path):
    """The network's hand model is on the GPU, that of the data set on the CPU."""
    whole = run_evaluation(tmp_path / "gpu", config, hand_model=mano, device="cuda")
    again = run_evaluation(tmp_path / "cpu", config, hand_model=mano, device="cpu")
    key = MetricKey("mpjpe_mm", "wrist-raw")
    assert whole.results[ALL].weights.metrics[key] == pytest.approx(again.results[ALL].weights.metrics[key], rel=0.02)


def test_root_is_required(mano):
    with pytest.raises(ValueError, match="--root"):
        open_images(DatasetConfig("interhand26m"), mano)


def test_complete_evaluation_writes_analyses(config, dataset, tmp_path):
    """Bundled weights without MANO; one image is missing."""
    changed = dataset.copied(tmp_path / "set")
    (changed.root / "images" / "test" / changed.names[0]).unlink()
    out: Path = tmp_path / "out"
    report = run_evaluation(out, DatasetConfig("interhand26m", changed.root), device="cpu", batch_size=4, workers=1)
    document = json.loads((out / "figures.json").read_text())
    assert document["categories"][ALL]["images"] == 9
    assert document["skipped"] == {"image is missing": 1}
    assert document["provenance"]["data"]["metadata"]["labels"] == "joint_3d"
    assert document["published_protocols"]["InterNet"]["mpjpe"] > 0
    assert not document["published_protocols"]["InterNet"]["same_images_as_published"]  # one is missing
    assert document["published_protocols"]["IntagHand"]["mpjpe"] is None
    assert {row["method"] for row in document["published_results"]} >= {"LGNet", "IntagHand", "InterWild"}
    assert len(document["published_caveats"]) == 5
    assert sum(one["pairs"] for one in document["asymmetry"]) == document["categories"]["interacting"]["images"]
    assert (out / "asymmetry.png").exists()
    assert len(report.analyses.tables()) == 3  # no image sequences
