"""README's tables and config/hands.yaml say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from support.paths import ROOT

from lgnet_ros import topics
from lgnet_ros.parameters import PARAMETERS
from lgnet_ros.tables import parameters_markdown, parameters_yaml, put_between_marks, topics_markdown, write

CURE = "write it anew: python -m lgnet_ros.tables"


@pytest.mark.parametrize(("mark", "table"), [("parameters", parameters_markdown()), ("topics", topics_markdown())])
def test_readme_holds_the_table(mark: str, table: str) -> None:
    readme = (ROOT / "README.md").read_text()
    assert put_between_marks(readme, mark, table) == readme, CURE


def test_the_parameter_file_is_that_of_the_table() -> None:
    assert (ROOT / "config" / "hands.yaml").read_text() == parameters_yaml(), CURE


def test_the_parameter_file_has_a_comment_for_each_parameter() -> None:
    lines = parameters_yaml().splitlines()
    for parameter in PARAMETERS:
        (at,) = [k for k, line in enumerate(lines) if line.startswith(f"    {parameter.name}: ")]
        assert lines[at - 1].startswith("    # "), parameter.name
    assert max(map(len, lines)) <= 120


def test_defaults_in_the_table_can_be_copied_to_a_command_line() -> None:
    for row, parameter in zip(parameters_markdown().splitlines()[2:], PARAMETERS):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        value = yaml.safe_load(cells[1].strip("`"))
        assert (value, type(value)) == (parameter.default, type(parameter.default))


def test_every_topic_of_the_code_is_in_the_table() -> None:
    names = {value for name, value in vars(topics).items() if name.isupper() and isinstance(value, str)}
    assert {n for n in names if " " not in n} | {f"{topics.IMAGE}/compressed"} == {
        topic.name for topic in topics.TOPICS
    }


@pytest.mark.parametrize("text", ["", "<!-- a -->", "<!-- /a --><!-- a -->", "<!-- a --><!-- a --><!-- /a -->"])
def test_missing_marks_are_told(text: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        put_between_marks(text, "a", "table")


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    marks = "a\n<!-- topics --><!-- /topics -->\nb\n<!-- parameters -->outdated<!-- /parameters -->"
    (tmp_path / "README.md").write_text(marks)
    write(tmp_path)
    first = (tmp_path / "README.md").read_text()
    assert first.startswith("a\n")
    assert "hands/mesh" in first
    assert "outdated" not in first
    write(tmp_path)
    assert (tmp_path / "README.md").read_text() == first
