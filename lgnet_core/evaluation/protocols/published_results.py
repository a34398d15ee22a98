"""Published results of two-hand networks on InterHand2.6M and HIC, each with its protocol and source.

They are not comparable across protocols: the MPJPE of one method differs by a third between them. Nothing here was
measured by this project.
"""

from __future__ import annotations

from dataclasses import dataclass

from lgnet_core.evaluation.datasets.base import HIC, INTERHAND26M


@dataclass(frozen=True)
class PublishedResult:
    """Published results of one method, millimetres; None: not reported.

    Args:
        protocol: as stated by the source, with a name of :mod:`lgnet_core.evaluation.protocols.published_protocols`
            where it is one of those. source: where the results are published. note: caveats of a comparison.
    """

    data: str
    method: str
    mpjpe: float | None
    mpvpe: float | None
    mrrpe: float | None
    protocol: str
    source: str
    note: str = ""


_LGNET = "LGNet paper"

PUBLISHED_RESULTS = (
    PublishedResult(INTERHAND26M, "LGNet", 5.30, 5.69, 26.43, "LGNet (as stated): wrist-scaled", _LGNET, "see 1 to 4"),
    PublishedResult(
        INTERHAND26M, "LGNet-Light", 6.31, 6.54, 32.18, "LGNet (as stated): wrist-scaled", _LGNET, "see 1 to 4"
    ),
    PublishedResult(
        INTERHAND26M, "EANet", 5.88, 5.45, 28.54, "mcp-scaled, SH and IH", "Papers with Code",
        "users could not reproduce it (EANet issues 5, 7); missing in LGNet's tables",
    ),
    PublishedResult(
        INTERHAND26M, "DIR", 10.23, 10.00, 29.26, "DIR (wrist): wrist-scaled", "DIR README",
        "LGNet's stated protocol; the scaling is its script's default",
    ),
    PublishedResult(INTERHAND26M, "DIR", 7.51, 7.72, 28.98, "DIR (MCP), presumably", _LGNET),
    PublishedResult(INTERHAND26M, "ACR", 7.41, 7.63, None, "middle MCP", _LGNET),
    PublishedResult(INTERHAND26M, "IntagHand", 8.80, 9.03, None, "IntagHand: mcp-scaled", "IntagHand README"),
    PublishedResult(INTERHAND26M, "MeMaHand", 8.65, None, None, "IntagHand's", "wizwand"),
    PublishedResult(
        INTERHAND26M, "InterShape", 8.64, 9.59, None, "InterShape: mcp-scaled, IH", "InterShape v2 README",
        "its authors' own figures for v1.0",
    ),
    PublishedResult(
        INTERHAND26M, "InterShape", 13.48, 13.95, None, "unknown", _LGNET, "superseded by the row above"
    ),
    PublishedResult(
        INTERHAND26M, "InterWild", 13.65, 11.55, 26.74, "InterWild: wrist-raw, H", "InterWild issue 16",
        "single 12.75 / 9.58, interacting 14.55 / 12.14",
    ),
    PublishedResult(
        INTERHAND26M, "Keypoint Transformer", 12.62, None, 29.50, "wrist-raw, H+M", "its README",
        "single 10.88, interacting 14.16; 12.78 in LGNet's table",
    ),
    PublishedResult(INTERHAND26M, "InterNet", 16.01, None, 32.60, "InterNet: wrist-raw", _LGNET),
    PublishedResult(INTERHAND26M, "4DHands", 7.49, None, None, "not stated", "papernotes"),
    PublishedResult(INTERHAND26M, "A2P", 5.36, None, None, "not stated", "papernotes"),
    PublishedResult(HIC, "LGNet", None, 31.79, 78.47, "not stated", _LGNET),
    PublishedResult(HIC, "LGNet-Light", None, 35.86, 80.80, "not stated", _LGNET),
    PublishedResult(HIC, "InterShape", None, 42.08, None, "not stated", _LGNET),
    PublishedResult(HIC, "IntagHand", None, 45.74, None, "not stated", _LGNET),
    PublishedResult(HIC, "Keypoint Transformer", None, 51.21, 190.77, "not stated", _LGNET),
)  # fmt: skip

CAVEATS = (
    "1. LGNet's PCK figure contradicts its table: an AUC of 82.57 over 0 to 50 mm implies an MPJPE of at least 8.7 mm, "
    "not 5.30 (DIR: at least 9.9, not 7.51; IntagHand: at least 11.8, not 8.79). The protocols must differ.",
    "2. Every bin of its robustness figure lies between 6.8 and 9.5 mm, which contradicts a mean of 5.30 if the bins "
    "cover the test set; the markers of its PCK figure alone imply at least 6.8 mm.",
    "3. It states wrist-scaled but quotes results that are mcp-scaled (IntagHand, DIR, ACR) or wrist-raw (Keypoint "
    "Transformer, InterNet).",
    "4. EANet, its direct parent, is missing in its tables; EANet's MPVPE of 5.45 is below LGNet's 5.69.",
    "5. Its table quotes a result of InterShape (13.48) that InterShape's authors have replaced (8.64).",
)
"""Contradictions in the published evidence. Source: the papers' own tables and figures."""

AUC_IN_PERCENT = {"LGNet": 82.57, "DIR": 80.12, "IntagHand": 76.41}
"""Area under the PCK curve, 0 to 50 mm, from LGNet's figure of PCK curves, which does not state its protocol."""

PCK_OF_LGNET = ((5, 38), (10, 67), (15, 83), (20, 92), (25, 94), (30, 97), (35, 98), (40, 98.2), (45, 98.5), (50, 99))
"""(threshold in mm, per cent of the joints): LGNet's curve, read from the same figure."""


def published_results(data: str) -> tuple[PublishedResult, ...]:
    """Results published on a data set, by its name in this module; empty for other data sets."""
    return tuple(row for row in PUBLISHED_RESULTS if row.data == data)
