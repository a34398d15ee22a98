"""Real sets under evaluation: a network that knows the truth has no error in any protocol, with MANO and without."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from support.made_hic import write_hic
from support.made_interhand import MadeSet, write_interhand
from support.perfect import KnowingNetwork

from lgnet_core.evaluation.analyses import AnalysisScores
from lgnet_core.evaluation.evaluate import ALL, evaluate
from lgnet_core.evaluation.published_protocols import INTERNET, PUBLISHED_PROTOCOLS
from lgnet_core.evaluation.run import run_evaluation
from lgnet_core.evaluation.scores import Key
from lgnet_core.evaluation.sets import Choice, open_images
from lgnet_core.hand_model import HandModel

SIZE = 64


@pytest.fixture(scope="module")
def made(mano, tmp_path_factory) -> MadeSet:
    return write_interhand(tmp_path_factory.mktemp("interhand"), mano, 10)


@pytest.fixture(scope="module")
def choice(made) -> Choice:
    return Choice("interhand26m", made.root)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Remembered:
    """A set that remembers the labels of what was read, of a set that may know more of the same images."""

    def __init__(self, images, knowing) -> None:
        self.images, self.knowing, self.asked = images, knowing, []

    def __getattr__(self, name):
        return getattr(self.images, name)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices, size):
        read = self.images.read(indices, size)
        places = self.images.set.read(indices.tolist(), size).places
        self.asked.append(self.knowing.read(torch.tensor(places), size).batch)
        return read


def judged(choice: Choice, mano: HandModel, with_mano: bool, change=lambda said: said):
    """Results and studies of a network that knows the truth of the fits, changed by hand."""
    knowing = open_images(choice, mano, mano)
    images = Remembered(open_images(choice, mano, mano if with_mano else None), knowing)
    network = KnowingNetwork(images, mano, change)
    scores = AnalysisScores(network, images, choice, len(images))
    results = evaluate(network, images, SIZE, batch_size=4, observers=scores.observers)
    return results, scores.found()


def test_who_knows_the_fits_has_no_error(choice, mano):
    results, studies = judged(choice, mano, with_mano=True)
    figures = results[ALL].weights.figures
    for key in ("mpjpe_mm", "mpvpe_mm"):
        for protocol in ("wrist-raw", "wrist-scaled", "mcp-raw", "mcp-scaled"):
            assert figures[Key(key, protocol)] == pytest.approx(0, abs=2e-3)
    assert figures[Key("presence", "at-half")] == 1
    assert figures[Key("joints_2d_px256", "in-crop")] == pytest.approx(0, abs=0.02)
    assert set(studies.named) == set(PUBLISHED_PROTOCOLS)
    for protocol, (found, _) in studies.named.items():
        assert found.mpjpe == pytest.approx(0, abs=2e-3)
        assert found.mrrpe == pytest.approx(0, abs=2e-3)
        assert math.isnan(found.mpvpe) == (protocol is INTERNET)
    assert [p.name for p, (_, same) in studies.named.items() if same] == ["InterNet"]
    assert studies.penetration["said"] == pytest.approx(studies.penetration["true"], abs=1e-3)
    assert studies.notes == []


def test_images_are_told_apart_by_their_hands(choice, made, mano):
    results, _ = judged(choice, mano, with_mano=True)
    both = int(made.truth.presence.all(1).sum())
    assert results["interacting"].images == both
    assert results["single-hand"].images == 10 - both
    assert results["separate"].images == results["no-hand"].images == 0


def test_without_mano_the_measured_joints_are_judged(choice, mano):
    results, studies = judged(choice, mano, with_mano=False)
    figures = results[ALL].weights.figures
    assert figures[Key("mpjpe_mm", "mcp-scaled")] == pytest.approx(0, abs=2e-3)
    assert math.isnan(figures[Key("mpvpe_mm", "wrist-raw")])
    found, same = studies.named[INTERNET]
    assert found.mpjpe == pytest.approx(0, abs=2e-3)
    assert same
    assert math.isnan(next(f for p, (f, _) in studies.named.items() if p.name == "IntagHand").mpjpe)
    assert "without MANO" in studies.notes[0]
    assert studies.penetration["true"]["pairs"] == 0


def test_joints_that_were_not_measured_do_not_count(made, mano, tmp_path):
    """A joint far off that no view has, and a hand whose wrist is not known: no error, as nothing can be said."""
    changed = made.copied(tmp_path / "set")
    image, note = changed.data["images"][0], changed.data["annotations"][0]
    step = changed.joints[str(image["capture"])][str(image["frame_idx"])]
    side = int(note["hand_type"] == "left")
    step["world_coord"][21 * side + 3] = [9e3, 9e3, 9e3]
    note["joint_valid"][21 * side + 3] = 0
    image, note = changed.data["images"][1], changed.data["annotations"][1]
    step = changed.joints[str(image["capture"])][str(image["frame_idx"])]
    side = int(note["hand_type"] == "left")
    step["world_coord"][21 * side + 20] = [9e3, 9e3, 9e3]
    step["joint_valid"][21 * side + 20] = [0]
    changed.write()
    results, studies = judged(Choice("interhand26m", changed.root), mano, with_mano=False)
    for protocol in ("wrist-raw", "mcp-scaled"):
        assert results[ALL].weights.figures[Key("mpjpe_mm", protocol)] == pytest.approx(0, abs=2e-3)
    assert studies.named[INTERNET][0].mpjpe == pytest.approx(0, abs=2e-3)
    assert studies.named[INTERNET][0].mrrpe == pytest.approx(0, abs=2e-3)


def test_hic_is_judged_by_its_meshes(mano, tmp_path):
    """Who says HIC's meshes has no error of vertices; who says them 10 mm too far left has it of the wrists alone."""
    choice = Choice("hic", write_hic(tmp_path, mano, 4).root)
    images = open_images(choice, mano, mano)
    truth = images.read(torch.arange(4), SIZE).truth
    wrists = truth.joints[:, :, :1]
    apart = wrists[:, 1, 0] - wrists[:, 0, 0] - torch.tensor([0.01, 0, 0])

    def meshes(said):
        return said._replace(joints=truth.joints - wrists, vertices=truth.vertices - wrists, relative_translation=apart)

    network = KnowingNetwork(Remembered(images, images), mano, meshes)
    scores = AnalysisScores(network, network.images, choice, 4)
    results = evaluate(network, network.images, SIZE, batch_size=4, observers=scores.observers)
    assert results[ALL].weights.figures[Key("mpvpe_mm", "wrist-raw")] == pytest.approx(0, abs=2e-3)
    assert results[ALL].weights.figures[Key("mrrpe_mm", "regressed")] == pytest.approx(10, abs=2e-3)
    ((protocol, (found, same)),) = scores.found().named.items()
    assert (protocol.name, same) == ("InterWild", False)
    assert found.mpvpe == pytest.approx(0, abs=2e-3)
    assert found.mpjpe == pytest.approx(0, abs=2e-3)  # of the meshes' joints: HIC has no measured ones
    assert found.mrrpe == pytest.approx(10, abs=2e-3)
    with pytest.raises(ValueError, match="give your MANO"):
        open_images(choice, mano)


@pytest.mark.gpu
def test_on_a_gpu(choice, mano, tmp_path):
    """The network's hand model goes to the GPU, that of the images stays where they are read."""
    whole = run_evaluation(tmp_path / "gpu", choice, hand_model=mano, device="cuda")
    again = run_evaluation(tmp_path / "cpu", choice, hand_model=mano, device="cpu")
    key = Key("mpjpe_mm", "wrist-raw")
    assert whole.results[ALL].weights.figures[key] == pytest.approx(again.results[ALL].weights.figures[key], rel=0.02)


def test_a_set_needs_its_root(mano):
    with pytest.raises(ValueError, match="--root"):
        open_images(Choice("interhand26m"), mano)


def test_the_whole_evaluation_writes_the_studies(choice, made, tmp_path):
    """The bundled weights, without MANO, one image missing."""
    changed = made.copied(tmp_path / "set")
    (changed.root / "images" / "test" / changed.names[0]).unlink()
    out: Path = tmp_path / "out"
    report = run_evaluation(out, Choice("interhand26m", changed.root), device="cpu", batch_size=4, workers=1)
    document = json.loads((out / "figures.json").read_text())
    assert document["categories"][ALL]["images"] == 9
    assert document["skipped"] == {"image is missing": 1}
    assert document["provenance"]["data"]["metadata"]["labels"] == "joint_3d"
    assert document["named_protocols"]["InterNet"]["mpjpe"] > 0
    assert not document["named_protocols"]["InterNet"]["on_the_images_it_was_published_on"]  # one is missing
    assert document["named_protocols"]["IntagHand"]["mpjpe"] is None
    assert {row["method"] for row in document["published"]} >= {"LGNet", "IntagHand", "InterWild"}
    assert len(document["caveats_of_the_published"]) == 5
    assert sum(one["pairs"] for one in document["asymmetry"]) == document["categories"]["interacting"]["images"]
    assert (out / "asymmetry.png").exists()
    assert len(report.studies.tables()) == 3  # no films
