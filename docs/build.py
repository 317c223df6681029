"""Writes the pages that the code knows best: tables (sql.md), commands (cli.md), settings (configuration.md).

    python docs/build.py

A test fails while a page says something else than the code.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from etl.analytics.catalogue import catalogue_markdown
from etl.cli.root import COMMANDS, command
from etl.config import example_text
from etl.simulator.cli import make_parser

WIDTH = 100

_CLI = """# Command line

What `--help` says of every command; written by `make docs`. `--config FILE` stands before or after the
command. Without it, `BIFROST_ETL_CONFIG` names the file, or four variables do ([install](install.md)).

| exit code | means |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong usage or configuration |
| 3 | some sources or destinations failed and others did not |
| 130, 143 | ended by Ctrl-C or SIGTERM before it was done |
"""

_SETTINGS = """# Configuration

Every setting with its default, as `bifrost-etl init --full` writes them; written by `make docs`. Without a
file these variables are enough:

| variable | stands for |
|---|---|
| `BIFROST_ETL_CONFIG` | the configuration file; without it, `bifrost-etl.yaml` in the current directory |
| `BIFROST_BASE_URL` | `base_url` of the one source |
| `BIFROST_API_KEY` | its `api_key` |
| `BIFROST_PROVIDER` | its `provider` |
| `DATABASE_URL` | `database.url` |

Every problem of a file is reported with its line, and the exit code is 2. `bifrost-etl check` then asks
database and gateway.
"""


def cli() -> str:
    """The help texts as one page, a heading for each command."""
    root = command().__self__  # type: ignore[attr-defined]
    said = [_CLI, "## bifrost-etl\n", _block(_help(root, "bifrost-etl"))]
    for group in COMMANDS.values():
        for name in group:
            for path, text in _helps(root.commands[name], f"bifrost-etl {name}"):
                depth = "#" * (path.count(" ") + 1)
                said += [f"{depth} {path.removeprefix('bifrost-etl ')}\n", _block(text)]
    return "\n".join(said)


def _helps(found: Any, path: str) -> Iterator[tuple[str, str]]:
    if path == "bifrost-etl simulate":  # has a parser of its own
        shown = make_parser()
        shown.formatter_class = partial(argparse.HelpFormatter, width=WIDTH)  # type: ignore[assignment]
        yield path, shown.format_help()
        return
    yield path, _help(found, path)
    for name, below in getattr(found, "commands", {}).items():
        yield from _helps(below, f"{path} {name}")


def _help(found: Any, path: str) -> str:
    context = found.make_context(
        path, [], resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH
    )
    text: str = found.get_help(context)
    return text


def _block(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return f"```text\n{lines}\n```\n"


def configuration() -> str:
    """The example file, cut at its blank lines: what stands before a key becomes prose and a heading."""
    head, *parts = _paragraphs(example_text())
    said = [_SETTINGS, "## How values are written\n", "\n".join(f"- {line}" for line in _rules(head)), ""]
    for part in parts:
        prose = re.match(r"(?:# .*\n)*", part)
        assert prose is not None
        name = re.search(r"^#?(\w+):", part, re.M)
        assert name is not None, part
        words = re.sub(r"^# ", "", prose[0], flags=re.M)
        said += [f"## {name[1]}\n", words, f"```yaml\n{part[prose.end() :].rstrip()}\n```\n"]
    return "\n".join(said)


def _rules(head: str) -> list[str]:
    """`Use: …` and its like, one per line of the example's head."""
    pairs = re.findall(r"^# (\w+): +(.*)$", head, re.M)
    return [f"{name}: {text}" for name, text in pairs]


def _paragraphs(text: str) -> list[str]:
    """Cut where a blank line is followed by something that is not indented."""
    return re.split(r"\n\n(?=[#\w])", text)


PAGES = {"sql.md": catalogue_markdown, "cli.md": cli, "configuration.md": configuration}

if __name__ == "__main__":
    for name, text in PAGES.items():
        (Path(__file__).parent / name).write_text(text(), encoding="utf-8")
