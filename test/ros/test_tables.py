"""The tables in the documentation and config/hands.yaml are up to date with the code."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from support.paths import ROOT

from lgnet_ros import topics
from lgnet_ros.parameters.settings import PARAMETERS
from lgnet_ros.tables import TABLES, parameters_markdown, parameters_yaml, put_between_marks, write

REMEDY = "update it: python -m lgnet_ros.tables"


@pytest.mark.parametrize(("name", "mark"), [(name, mark) for name, tables in TABLES.items() for mark in tables])
def test_table_is_up_to_date(name: str, mark: str) -> None:
    text = (ROOT / name).read_text()
    assert put_between_marks(text, mark, TABLES[name][mark]()) == text, REMEDY


def test_parameter_file_is_up_to_date() -> None:
    assert (ROOT / "config" / "hands.yaml").read_text() == parameters_yaml(), REMEDY


def test_parameter_file_has_a_comment_for_each_parameter() -> None:
    lines = parameters_yaml().splitlines()
    for parameter in PARAMETERS:
        (at,) = [k for k, line in enumerate(lines) if line.startswith(f"    {parameter.name}: ")]
        assert lines[at - 1].startswith("    # "), parameter.name
    assert max(map(len, lines)) <= 120


def test_defaults_in_the_table_are_valid_on_the_command_line() -> None:
    for row, parameter in zip(parameters_markdown().splitlines()[2:], PARAMETERS):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        value = yaml.safe_load(cells[1].strip("`"))
        assert (value, type(value)) == (parameter.default, type(parameter.default))


def test_every_topic_name_is_in_the_table() -> None:
    names = {value for name, value in vars(topics).items() if name.isupper() and isinstance(value, str)}
    assert {n for n in names if " " not in n} | {f"{topics.IMAGE}/compressed"} == {
        topic.name for topic in topics.TOPICS
    }


@pytest.mark.parametrize("text", ["", "<!-- a -->", "<!-- /a --><!-- a -->", "<!-- a --><!-- a --><!-- /a -->"])
def test_missing_marks_raise(text: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        put_between_marks(text, "a", "table")


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    for folder in ("config", "docs"):
        (tmp_path / folder).mkdir()
    for name, tables in TABLES.items():
        marks = "".join(f"a\n<!-- {mark} -->outdated<!-- /{mark} -->\nb\n" for mark in tables)
        (tmp_path / name).write_text(marks)
    write(tmp_path)
    first = {name: (tmp_path / name).read_text() for name in TABLES}
    assert all(text.startswith("a\n") and "outdated" not in text for text in first.values())
    assert "hands/mesh" in first["README.md"]
    write(tmp_path)
    assert {name: (tmp_path / name).read_text() for name in TABLES} == first
