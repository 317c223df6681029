"""The commands that documents give, as one shell script for each document.

Fences tell what they hold: `sh` commands, `console` commands after `$ ` with what they print, `sql`
statements that `bifrost-etl sql` is given. In deploy/ commands are indented in comments.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Block(NamedTuple):
    """`line` is where it begins in its document."""

    language: str
    text: str
    line: int


def fences(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return [Block(m[1], m[2], text[: m.start()].count("\n") + 2) for m in found]


def comments(page: str) -> Block:
    """The commands in the comments at the top of a file of deploy/."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    commands = [line.removeprefix("#   ") for line in lines if line.startswith("#   ")]
    return Block("sh", "\n".join(commands) + "\n", 1)


def script(blocks: list[Block]) -> str:
    return "".join(_shell(block) for block in blocks)


def _shell(block: Block) -> str:
    if block.language == "console":
        return "\n".join(re.findall(r"^\$ (.*)$", block.text, re.M)) + "\n"
    if block.language == "sql":
        return f"bifrost-etl sql <<'END'\n{block.text}\nEND\n"
    # Who types is slower than a script: a server in the background listens before the next command is given.
    return re.sub(r"^(.*--port (\d+).* &)$", r"\1\nlistening \2", block.text, flags=re.M)


PROLOGUE = """
set -eE -o pipefail
trap 'echo "line failed: $BASH_COMMAND" >&2' ERR
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
listening() { until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do sleep 0.05; done; }
"""
