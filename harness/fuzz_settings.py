"""Random configurations, for `harness.fuzz`: read, or refused by name, place and remedy, without a secret.

A configuration is drawn from the keys of the example, with values of every kind in wrong places; half of them
are spoilt as bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from etl.config import load_config
from etl.config.load import example_text
from etl.errors import ConfigError

CANARY = "sk-bf-canary-81c2e5"
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 10**30, 0.5, 1e400, float("nan"), "", " ", "auto", "30s", "1h30m",
    "-5m", "99999999d", "5 apples", "64MiB", "1e9GB", "http://h", "https://u:p@h:1/x?y#z", "ftp://h",
    "http://[::1", "http://h:99999", "sqlite:///x.db", "postgresql://u:p@h/d", "mysql://", "oracle://x",
    "${HOME}", "${NOPE}", "${NOPE:-x}", "${", "$${x}", "UTC", "Mars/Olympus", "*/5 * * * *",
    "61 * * * *", "a" * 400, "\0", "é🎬", "~", "0 4 * * 0", [], {}, [1, [2]], {"a": {"b": []}}, ["x"],
    "yes", "2024-05-01", 1_700_000_000,
)  # fmt: skip
_SECRETS = ("api_key", "password", "virtual_key", "token", "logs_password", "logs_token")
_FRAGMENTS = (
    b"\xff", b"\0", b"\t", b"- ", b": ", b"&a ", b"*a", b"<<: *a\n", b"!!python/object:os.system ", b"{",
    b"}", b"[", b"|\n", b">-\n", b"'", b'"', b"%YAML 1.3\n", b"---\n", b"...\n", b"? ", b"\xef\xbb\xbf",
    b"#", b"\r", b"[" * 300, b"0x", b"1:30:00", b"!!set ", b"!!binary ", b"\xe2\x80\xa8", b"@", b"`",
)  # fmt: skip
_EXAMPLE: dict[str, Any] = yaml.safe_load(example_text())


def make_text(chance: random.Random) -> bytes:
    found = _varied(chance, _EXAMPLE, 0)
    if chance.random() < 0.5:
        found = {name: found[name] for name in found if chance.random() < 0.4}
    if chance.random() < 0.7:
        found["sources"] = [_source(chance) for _ in range(chance.randrange(3))]
    text = yaml.safe_dump(found, allow_unicode=True, sort_keys=False).encode("utf-8", "replace")
    return _spoil(text, chance) if chance.random() < 0.5 else text


def _source(chance: random.Random) -> Any:
    drawn = {name: v for name, v in _EXAMPLE["sources"][0].items() if chance.random() < 0.3}
    source = {"name": chance.choice("ab"), "base_url": "http://h", **_varied(chance, drawn, 1)}
    source[chance.choice(_SECRETS)] = CANARY
    return source if chance.random() < 0.95 else chance.choice(_VALUES)


def _varied(chance: random.Random, found: dict[str, Any], depth: int) -> dict[str, Any]:
    """Some values exchanged, some keys misspelt, some parts left as they are."""
    told = {}
    for name, value in found.items():
        drawn = chance.random()
        if isinstance(value, dict) and value and drawn < 0.8:
            value = _varied(chance, value, depth + 1)
        elif drawn < 0.012:
            value = chance.choice(_VALUES)
        key = name if isinstance(name, str) else "on"  # which is True in YAML 1.1
        told[key[1:] if chance.random() < 0.002 else key] = value
    return told


def _spoil(text: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(text) + 1)
        end = min(len(text), at + chance.randrange(8))
        text = text[:at] + chance.choice((b"", chance.choice(_FRAGMENTS), chance.randbytes(1))) + text[end:]
    return text


def open_trial(folder: Path) -> Callable[[int], tuple[str, int]]:
    path = folder / "c.yaml"

    def trial(seed: int) -> tuple[str, int]:
        """How reading it ended, and how many problems it told. Raises whatever is wrong."""
        path.write_bytes(text := make_text(random.Random(seed)))
        first, second = _read(path, folder), _read(path, folder)
        assert first == second, "another answer the second time"
        told, problems = first
        assert CANARY not in told or CANARY.encode() not in text, "a secret is told"
        return ("refused" if problems else "read"), problems

    return trial


def _read(path: Path, folder: Path) -> tuple[str, int]:
    environ = {"HOME": str(folder)}
    try:
        return repr(load_config(path, environ)), 0
    except ConfigError as error:
        said = f"{error}\n{error.hint or ''}"
        assert str(error).strip(), "refused without a word"
        return said, max(1, str(error).count("\n"))
