"""Sphinx extension: parts of pages that are generated from the sources when the manual is built.

A comment ``<!-- generate: KIND ARGUMENTS -->`` in a Markdown page is replaced by the output of a function of
:data:`GENERATORS`.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

ROOT = Path(__file__).resolve().parents[2]
MARK = re.compile(r"<!-- generate: (.*?) -->")


def messages() -> str:
    """A section for each message definition."""
    return "\n\n".join(message(path) for path in sorted((ROOT / "msg").glob("*.msg")))


def message(path: Path) -> str:
    """One message definition: its description, and tables of its constants and fields."""
    blocks = [block.splitlines() for block in path.read_text().strip().split("\n\n")]
    description: list[str] = []
    constants: list[str] = []
    fields: list[str] = []
    for block in blocks:
        comment = " ".join(line.removeprefix("#").strip() for line in block if line.startswith("#"))
        entries = [line.partition("#")[0].split() for line in block if not line.startswith("#")]
        if not entries and not description:
            description.append(comment)
        elif entries and "=" in entries[0][1]:
            values = ", ".join(f"`{name}`" for _, name in entries)
            constants.append(f"| {values} | `{entries[0][0]}` | {comment} |")
        else:
            fields.extend(f"| `{name}` | `{kind}` | {comment} |" for kind, name in entries)
    parts = [f"### {path.stem}", *description, f"Source: [`msg/{path.name}`](../msg/{path.name})."]
    if constants:
        parts.append("\n".join(["| constants | type | meaning |", "|---|---|---|", *constants]))
    parts.append("\n".join(["| field | type | meaning |", "|---|---|---|", *fields]))
    return "\n\n".join(parts)


def commands() -> str:
    """A section for each command of ``lgnet``, and the help text of ``lgnet-hands``."""
    import typer

    from lgnet_core.cli.app import app

    return "\n\n".join([*_command(typer.main.get_command(app), "lgnet"), _hands_help()])


def _command(command: Any, name: str) -> Iterator[str]:
    if subcommands := getattr(command, "commands", None):
        for subname, subcommand in subcommands.items():
            yield from _command(subcommand, f"{name} {subname}")
        return
    hints = get_type_hints(command.callback, include_extras=True)
    settings = _training_defaults() if name == "lgnet train" else {}
    rows, usage = [], [name]
    for parameter in command.params:
        if parameter.name not in hints:  # --help
            continue
        if parameter.param_type_name == "argument":
            label = parameter.metavar or parameter.name.upper()
            usage.append(label)
            names, default = f"`{label}`", "required" if parameter.required else ""
        else:
            names = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
            value = settings.get(parameter.name) if parameter.default is None else parameter.default
            default = "required" if parameter.required else _default(value)
        cells = (names, _type(hints[parameter.name]), default, parameter.help or "")
        rows.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    table = "\n".join(["| option | type | default | meaning |", "|---|---|---|---|", *rows])
    yield "\n\n".join(
        [f"### {name}", *(_prose(text) for text in paragraphs), f"Usage: `{' '.join(usage)} [OPTIONS]`", table]
    )


def _training_defaults() -> dict[str, Any]:
    """Defaults that ``lgnet train`` takes from its configuration."""
    from lgnet_core.training.train_config import TrainConfig

    return {field.name: field.default for field in fields(TrainConfig) if field.default is not MISSING}


def _default(value: Any) -> str:
    """Default of an option; empty if its help text has to explain it."""
    return "" if value in (None, False, (), []) or callable(value) else f"`{getattr(value, 'value', value)}`"


def _type(hint: Any) -> str:
    """Type of a parameter, from its annotation: choices, or the type and its limits."""
    hint, *metadata = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    members = [member for member in get_args(hint) or (hint,) if member is not type(None)]
    kind = members[0]
    if get_origin(kind) is list:  # may be repeated
        (kind,) = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{choice.value}`" for choice in kind)
    limits = [
        f"{sign} {getattr(info, name)}"
        for info in metadata
        for sign, name in (("≥", "min"), ("≤", "max"))
        if getattr(info, name, None) is not None
    ]
    names = {bool: "", str: "text", int: "integer", float: "number", Path: "path"}
    return " ".join([names.get(kind, str(kind)), ", ".join(limits)]).strip()


def _hands_help() -> str:
    command = [sys.executable, "-m", "lgnet_ros.cli", "--help"]
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    text = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    text = re.sub(r"usage: \S+", "usage: lgnet-hands", text)
    return f"### lgnet-hands\n\n```text\n{text.strip()}\n```"


def _cell(text: str) -> str:
    """Text for a cell of a table."""
    return _prose(" ".join(text.split())).replace("|", r"\|")


def _prose(text: str) -> str:
    """Help text as Markdown: asterisks and angle brackets are not markup, except in code."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else re.sub(r"([*<_\[])", r"\\\1", part) for part in parts)


def public() -> str:
    """The names that ``lgnet_core`` exports, with the first line of their docstrings."""
    package = importlib.import_module("lgnet_core")
    rows = ["| name | meaning |", "|---|---|"]
    for name in sorted(set(package.__all__)):
        member = getattr(package, name)
        role = "class" if inspect.isclass(member) else "func"
        summary = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", inspect.getdoc(member).split("\n\n")[0])
        target = f"{member.__module__}.{member.__qualname__}"
        rows.append(f"| {{py:{role}}}`{name} <{target}>` | {_cell(summary.replace('``', '`'))} |")
    return "\n".join(rows)


def module(name: str) -> str:
    """The members of one module."""
    return f"```{{eval-rst}}\n.. automodule:: {name}\n```"


def modules(*packages: str) -> str:
    """A section for each public module of packages, however deep."""
    return "\n\n".join(f"## {name}\n\n{_module_or_package(name)}" for root in packages for name in _walk(root))


def _module_or_package(name: str) -> str:
    """A package gives its docstring only: its members are documented where they are defined."""
    option = "\n   :no-members:" if hasattr(importlib.import_module(name), "__path__") else ""
    return f"```{{eval-rst}}\n.. automodule:: {name}{option}\n```"


def _walk(name: str) -> Iterator[str]:
    root = importlib.import_module(name)
    if inspect.getdoc(root):
        yield name
    for info in sorted(pkgutil.iter_modules(getattr(root, "__path__", [])), key=lambda info: (info.ispkg, info.name)):
        if not info.name.startswith("_"):
            yield from _walk(f"{name}.{info.name}")


GENERATORS = {
    "messages": messages,
    "commands": commands,
    "public": public,
    "module": module,
    "modules": modules,
}


def expand(text: str) -> str:
    """Replace every mark in the source of a page.

    Raises:
        KeyError: for a mark of an unknown kind.
    """
    return MARK.sub(lambda mark: _generate(*mark[1].split()), text)


def _generate(kind: str, *arguments: str) -> str:
    return GENERATORS[kind](*arguments)


def setup(app: Any) -> dict[str, Any]:
    def expand_page(_: Any, __: str, source: list[str]) -> None:
        source[0] = expand(source[0])

    app.connect("source-read", expand_page)
    return {"parallel_read_safe": True}
