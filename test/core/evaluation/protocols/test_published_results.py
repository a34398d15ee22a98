"""Published results are complete, and the stated contradictions follow from them."""

from __future__ import annotations

import pytest

from lgnet_core.evaluation.protocols.published_results import (
    AUC_IN_PERCENT,
    CAVEATS,
    HIC,
    INTERHAND26M,
    PCK_OF_LGNET,
    published_results,
)


def test_every_result_has_a_protocol_and_a_source():
    for data in (INTERHAND26M, HIC):
        rows = published_results(data)
        assert rows
        for row in rows:
            assert row.protocol
            assert row.source
            assert any(value is not None for value in (row.mpjpe, row.mpvpe, row.mrrpe))
    assert published_results("synthetic") == ()


@pytest.mark.parametrize(
    ("method", "bound_mm", "table"), [("LGNet", 8.7, 5.30), ("DIR", 9.9, 7.51), ("IntagHand", 11.8, 8.80)]
)
def test_auc_contradicts_the_tables(method, bound_mm, table):
    """AUC = 1 - E[min(e, 50)] / 50, so the mean error is at least 50 (1 - AUC)."""
    bound = 50 * (1 - AUC_IN_PERCENT[method] / 100)
    assert bound == pytest.approx(bound_mm, abs=0.06)
    assert bound > table
    assert any(row.method == method and row.mpjpe == table for row in published_results(INTERHAND26M))
    assert f"{bound_mm}" in CAVEATS[0]


def test_markers_of_pck_figure_bound_the_error():
    """PCK between two markers is at most that of the right one, so the mean error is at least 5 sum(1 - PCK)."""
    bound = sum(5 * (1 - percent / 100) for _, percent in PCK_OF_LGNET)
    assert bound == pytest.approx(6.8, abs=0.1)
    assert "6.8 mm" in CAVEATS[1]
