"""Texts that are made from the tables of parameters and topics: parts of README.md, and config/hands.yaml.

``python -m lgnet_ros.tables`` in a checkout writes both anew; a test holds them to the tables.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import yaml

from lgnet_ros.input.encodings import ENCODINGS
from lgnet_ros.parameters import PARAMETERS, Parameter
from lgnet_ros.topics import IMAGE, TOPICS

_YAML_HEAD = """\
# The parameters of lgnet_ros's node with their defaults. Copy this file, change what you need, leave out the rest:
#   ros2 launch lgnet_ros hands.launch.py params_file:=/path/to/mine.yaml
# Those marked "Fixed" are read when the node starts; the others can be set while it runs (ros2 param set).
/**:
  ros__parameters:
"""


def parameters_markdown() -> str:
    """README's table of parameters."""
    rows = ["| parameter | default | values | set while running | what it does |", "|---|---|---|---|---|"]
    for p in PARAMETERS:
        runtime = "" if p.read_only else "yes"
        rows.append(f"| `{p.name}` | {_code(_scalar(p))} | {_values(p)} | {runtime} | {p.description} |")
    return "\n".join(rows)


def topics_markdown() -> str:
    """README's table of topics, and what images may be like."""
    rows = ["| topic | message | QoS | when |", "|---|---|---|---|"]
    for t in TOPICS:
        direction = "in: " if t.subscribed else ""
        rows.append(f"| `{t.name}` | {t.message} | {t.qos} | {direction}{t.when} |")
    names = ", ".join(_code(name) for name in ENCODINGS)
    note = (
        f"Encodings of `{IMAGE}`: {names}. 16-bit images are reduced to 8 bits by the fullest bit found in them, "
        "since sensors put 10, 12 or 14 bits into 16. Compressed images: JPEG and PNG."
    )
    return "\n".join([*rows, "", note])


def parameters_yaml() -> str:
    """config/hands.yaml: every parameter with its default and a comment."""
    parts = []
    for p in PARAMETERS:
        notes = [p.description, f"Values: {_values(p).replace('`', '')}." if _values(p) else ""]
        notes.append("Fixed." if p.read_only else "")
        comment = textwrap.wrap(" ".join(note for note in notes if note).replace("`", "'"), width=110)
        parts.append("".join(f"    # {line}\n" for line in comment) + f"    {p.name}: {_scalar(p)}\n")
    return _YAML_HEAD + "\n".join(parts)


def put_between_marks(text: str, mark: str, content: str) -> str:
    """Replace what stands between ``<!-- mark -->`` and ``<!-- /mark -->`` by a block of its own.

    Raises:
        ValueError: if the marks are not there once each.
    """
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ValueError(f"expected {start} and then {end} once each; put them where the table belongs")
    head, rest = text.split(start)
    _, tail = rest.split(end)
    return f"{head}{start}\n{content}\n{end}{tail}"


def write(root: Path) -> None:
    """Write the tables into README.md and config/hands.yaml of a checkout."""
    readme = root / "README.md"
    text = put_between_marks(readme.read_text(), "parameters", parameters_markdown())
    readme.write_text(put_between_marks(text, "topics", topics_markdown()))
    (root / "config" / "hands.yaml").write_text(parameters_yaml())


def _values(p: Parameter) -> str:
    """What may be set: choices or limits with the unit; empty for any."""
    if p.choices is not None:
        return ", ".join(_code(choice) for choice in p.choices)
    if p.limits is not None:
        return f"{p.limits[0]:g} to {p.limits[1]:g} {p.unit}".rstrip()
    return ""


def _scalar(p: Parameter) -> str:
    """The default as YAML, which is how ``-p name:=value`` takes it too."""
    return yaml.safe_dump(p.default, default_style='"' if p.default == "" else None).partition("\n")[0]


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    write(Path.cwd())
