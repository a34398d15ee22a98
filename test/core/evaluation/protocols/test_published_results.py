"""The published figures are consistent with what is said about them."""

from __future__ import annotations

import pytest

from lgnet_core.evaluation.published import AUC_IN_PERCENT, CAVEATS, HIC, INTERHAND26M, PCK_OF_LGNET, published_on


def test_every_figure_has_a_protocol_and_a_source():
    for data in (INTERHAND26M, HIC):
        rows = published_on(data)
        assert rows
        for row in rows:
            assert row.protocol
            assert row.source
            assert any(value is not None for value in (row.mpjpe, row.mpvpe, row.mrrpe))
    assert published_on("synthetic") == ()


@pytest.mark.parametrize(
    ("method", "least", "table"), [("LGNet", 8.7, 5.30), ("DIR", 9.9, 7.51), ("IntagHand", 11.8, 8.80)]
)
def test_auc_contradicts_the_tables(method, least, table):
    """AUC = 1 - E[min(e, 50)] / 50, so that the mean error is at least 50 (1 - AUC)."""
    bound = 50 * (1 - AUC_IN_PERCENT[method] / 100)
    assert bound == pytest.approx(least, abs=0.06)
    assert bound > table
    assert any(row.method == method and row.mpjpe == table for row in published_on(INTERHAND26M))
    assert f"{least}" in CAVEATS[0]


def test_markers_of_the_pck_figure():
    """Between two markers the share is at most that of the right one: the mean error is at least 5 sum(1 - PCK)."""
    bound = sum(5 * (1 - percent / 100) for _, percent in PCK_OF_LGNET)
    assert bound == pytest.approx(6.8, abs=0.1)
    assert "6.8 mm" in CAVEATS[1]
