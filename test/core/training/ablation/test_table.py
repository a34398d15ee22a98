"""Results table of an ablation, with made-up values."""

import json

import pytest
from rich.console import Console

from lgnet_core.training.ablation.published import PUBLISHED
from lgnet_core.training.ablation.table import COLUMNS, COMPARED, Run, Table, published_name, reference_of

CONDITIONS = {"steps": 1250, "batch_size": 32, "size": 256, "backbone": "efficientnet_lite0", "data": "synthetic"}
MACHINE = {"command": "lgnet ablate", "commit": "abc1234", "time": "today"}


def run(row, mpjpe, mpvpe=10.0, mrrpe=30.0, seed=0, images=40_000, commit="abc1234"):
    figures = {**dict.fromkeys(COLUMNS, 1.0), **dict(zip(COMPARED, (mpjpe, mpvpe, mrrpe)))}
    return Run(row, seed, 10**6, 10**9, images, commit, figures, dict.fromkeys(COLUMNS, 99.0))


def contradictions(*runs):
    return [note for note in Table(CONDITIONS, MACHINE, list(runs)).notes() if note.startswith("contradicts")]


def test_improvement_by_removing_a_part_contradicts_the_paper():
    """In the paper, removing the LGBlock increases the error by 2.95 mm."""
    (note,) = contradictions(run("lgnet-mini", 12.0), run("lgnet-mini-without-lgblock", 11.0))
    assert "lgnet-mini-without-lgblock is better than lgnet-mini in MPJPE wrist-scaled, 11.0 against 12.0" in note
    assert "published: 8.25 against 5.3" in note
    assert "one seed" in note


def test_agreement_has_no_note():
    assert contradictions(run("lgnet", 12.0), run("lgnet-without-lgblock", 13.0, mpvpe=11.0, mrrpe=31.0)) == []
    assert contradictions(run("lgnet", 12.0), run("lgnet-without-lgblock", 12.0)) == []


def test_metrics_are_compared_separately():
    """EANet's published MPVPE is lower than LGNet's, its MPJPE is higher."""
    notes = contradictions(run("lgnet", 12.0, 12.0, 30.0), run("eanet", 11.0, 13.0, 31.0))
    assert len(notes) == 2
    assert "better than lgnet in MPJPE" in notes[0]
    assert "worse than lgnet in MPVPE" in notes[1]


def test_seeds_are_averaged_and_their_deviation_is_noted():
    seeds = [run("lgnet", value, seed=k) for k, value in enumerate((10.0, 12.0, 14.0))]
    (note,) = contradictions(*seeds, *(run("lgnet:without-edge", v, seed=k) for k, v in enumerate((11.0, 11.5, 12.0))))
    assert "11.5 against 12.0" in note
    assert "3 seeds with a standard deviation of 2.0, not less than the difference" in note


def test_rows_without_a_reference_are_not_compared():
    assert contradictions(run("lgnet-without-lgblock", 1.0), run("lgnet-mini", 99.0)) == []
    assert contradictions(run("lgnet", 9.0), run("hands-net", 1.0)) == []


@pytest.mark.parametrize(
    ("row", "published", "reference"),
    [
        ("lgnet-mini-without-lgblock", "lgnet-without-lgblock", "lgnet-mini"),
        ("lgnet-without-lgblock", "lgnet-without-lgblock", "lgnet"),
        ("lgnet-mini:without-edge", "lgnet:without-edge", "lgnet-mini"),
        ("lgnet-light", "lgnet-light", "lgnet-light"),
        ("lgnet-hand-without-local-unit", "lgnet-without-local-unit", "lgnet-hand"),
        ("lgnet-hand:without-edge", "lgnet:without-edge", "lgnet-hand"),
        ("intershape-hand", "intershape", "lgnet-hand"),
        ("eanet-mini", "eanet", "lgnet-mini"),
        ("intershape", "intershape", "lgnet"),
    ],
)
def test_rows_have_a_published_name_and_a_reference(row, published, reference):
    assert published_name(row) in PUBLISHED
    assert (published_name(row), reference_of(row)) == (published, reference)


@pytest.mark.parametrize(
    ("images", "size", "reduced"), [(40_000, 256, False), (39_999, 256, True), (40_000, 128, True)]
)
def test_reduced_comparison_is_labelled(images, size, reduced):
    table = Table({**CONDITIONS, "size": size}, MACHINE, [run("lgnet", 9.0, images=images)])
    assert table.reduced == reduced
    assert ("REDUCED" in table.title) == reduced
    assert any(note.startswith("reduced:") for note in table.notes()) == reduced


def test_all_formats_have_the_same_values(tmp_path):
    """JSON, Markdown and terminal, with the mean-pose baseline and the published results."""
    table = Table(CONDITIONS, MACHINE, [run("lgnet", 12.34), run("eanet", 13.5, seed=1, commit="def5678")])
    table.write(tmp_path)
    document = json.loads((tmp_path / "ablation.json").read_text())
    assert [r["figures"]["mpjpe_mm/wrist-scaled"] for r in document["runs"]] == [12.34, 13.5]
    assert document["runs"][0]["published"] == [5.30, 5.69, 26.43]
    console = Console(width=250, record=True, file=(tmp_path / "table").open("w"))
    console.print(table.rich())
    for text in ((tmp_path / "ablation.md").read_text(), console.export_text()):
        assert all(
            part in text for part in ("12.3", "13.5", "(mean pose)", "99.0", "5.30 / 5.69 / 26.43", "lgnet ablate")
        )
        assert "several commits: abc1234, def5678" in text
