"""Tables of topics, image encodings and parameters in the documentation, and config/hands.yaml.

``python -m lgnet_ros.tables`` in a checkout updates the files; a test checks that they are up to date.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import yaml

from lgnet_core.messages.encodings import ENCODINGS
from lgnet_ros.parameters.parameter import Parameter
from lgnet_ros.parameters.settings import PARAMETERS
from lgnet_ros.topics import IMAGE, TOPICS

_YAML_HEAD = """\
# Parameters of the lgnet_ros node with their defaults. Copy this file and keep the parameters you want to change:
#   ros2 launch lgnet_ros hands.launch.py params_file:=/path/to/params.yaml
# All can be changed with `ros2 param set`: those marked "Load time" while the node is unconfigured, the others always.
/**:
  ros__parameters:
"""


def parameters_markdown() -> str:
    """Table of the parameters, in Markdown."""
    rows = ["| parameter | default | values | run time | description |", "|---|---|---|---|---|"]
    for p in PARAMETERS:
        runtime = "" if p.load_time else "yes"
        rows.append(f"| `{p.name}` | {_code(_scalar(p))} | {_values(p)} | {runtime} | {p.description} |")
    return "\n".join(rows)


def topics_markdown() -> str:
    """Table of the topics, in Markdown."""
    rows = ["| topic | message | QoS | when |", "|---|---|---|---|"]
    for t in TOPICS:
        direction = "in: " if t.subscribed else ""
        rows.append(f"| `{t.name}` | {t.message} | {t.qos} | {direction}{t.when} |")
    return "\n".join(rows)


def encodings_markdown() -> str:
    """List of the supported image encodings, in Markdown."""
    names = ", ".join(_code(name) for name in ENCODINGS)
    return (
        f"Encodings of `{IMAGE}`: {names}. 16-bit images are reduced to 8 bits relative to the highest bit set in the "
        "image, since sensors store 10, 12 or 14 bits in 16. Compressed images: JPEG and PNG."
    )


def parameters_yaml() -> str:
    """Content of config/hands.yaml: all parameters with their defaults and comments."""
    parts = []
    for p in PARAMETERS:
        notes = [p.description, f"Values: {_values(p).replace('`', '')}." if _values(p) else ""]
        notes.append("Load time." if p.load_time else "")
        comment = textwrap.wrap(" ".join(note for note in notes if note).replace("`", "'"), width=110)
        parts.append("".join(f"    # {line}\n" for line in comment) + f"    {p.name}: {_scalar(p)}\n")
    return _YAML_HEAD + "\n".join(parts)


def put_between_marks(text: str, mark: str, content: str) -> str:
    """Replace the text between ``<!-- mark -->`` and ``<!-- /mark -->``.

    Raises:
        ValueError: the marks do not occur exactly once each, in this order.
    """
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ValueError(f"expected {start} followed by {end}, once each; add them where the table belongs")
    head, rest = text.split(start)
    _, tail = rest.split(end)
    return f"{head}{start}\n{content}\n{end}{tail}"


TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"topics": topics_markdown},
    "docs/messages-and-frames.md": {"topics": topics_markdown, "encodings": encodings_markdown},
    "docs/parameters.md": {"parameters": parameters_markdown},
}
"""Generated tables by file of the checkout and mark."""


def write(root: Path) -> None:
    """Write the tables into the documentation and config/hands.yaml of a checkout."""
    for name, tables in TABLES.items():
        text = (root / name).read_text()
        for mark, table in tables.items():
            text = put_between_marks(text, mark, table())
        (root / name).write_text(text)
    (root / "config" / "hands.yaml").write_text(parameters_yaml())


def _values(p: Parameter) -> str:
    """Allowed values: choices, or limits with their unit; empty if unrestricted."""
    if p.choices is not None:
        return ", ".join(_code(choice) for choice in p.choices)
    if p.limits is not None:
        return f"{p.limits[0]:g} to {p.limits[1]:g} {p.unit}".rstrip()
    return ""


def _scalar(p: Parameter) -> str:
    """The default in YAML, as also accepted by ``-p name:=value``."""
    return yaml.safe_dump(p.default, default_style='"' if p.default == "" else None).partition("\n")[0]


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    write(Path.cwd())
