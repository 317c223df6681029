"""Where prompts are not stored as they are, no other column may carry them either."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

from etl.records import Reject
from etl.transform.options import Options
from etl.transform.text import json_text

#: A shorter prompt is a syllable: cutting it out of every other text would only ruin them.
_SHORTEST = 4
MARK = "[prompt]"


def stored(prompt: str | None, options: Options) -> str | None:
    """The prompt as its column shows it."""
    if prompt is None or options.prompts == "store":
        return prompt
    return fingerprint(prompt) if options.prompts == "hash" else None


def fingerprint(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


class Scrubber:
    """Takes a job's prompt out of everything else that the job says."""

    def __init__(self, prompt: Any, options: Options) -> None:
        self._options = options
        spellings = {form for text in _texts(prompt) for form in (text, *_escaped(text))}
        self._spellings = sorted((s for s in spellings if len(s) >= _SHORTEST), key=lambda s: (-len(s), s))

    def text(self, value: str) -> str:
        for spelling in self._spellings:
            value = value.replace(spelling, MARK)
        return value

    def value(self, value: Any) -> Any:
        """A copy without prompts; members named like one (`revised_prompt`) are hashed or left out."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(child) for child in value]
        return self._members(value) if isinstance(value, dict) else value

    def _members(self, members: dict[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, child in members.items():
            if "prompt" not in name.casefold() or isinstance(child, int | float | None):
                kept[self.text(name)] = self.value(child)
            elif self._options.prompts == "hash":
                kept[name] = fingerprint(child if isinstance(child, str) else json_text(child))
        return kept


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        yield value.strip()
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _texts(child)


def _escaped(text: str) -> tuple[str, str]:
    """As it looks inside a JSON document that is itself a string."""
    return encode_basestring_ascii(text)[1:-1], encode_basestring(text)[1:-1]


def safe_reject(reject: Reject, value: Any, options: Options) -> Reject:
    """The reject, its bytes without the prompt; without any when nobody can tell where a prompt stands."""
    if options.prompts == "store" or reject.payload is None:
        return reject
    try:
        if isinstance(value, dict):
            payload = json_text(Scrubber(value.get("prompt"), options).value(value)).encode()
            return Reject(reject.reason, payload, reject.position, reject.job_id)
    except (RecursionError, ValueError):
        pass  # nested beyond reading, or text that cannot be encoded: withheld like all that is no object
    digest = hashlib.sha256(reject.payload).hexdigest()
    withheld = f"{len(reject.payload)} bytes withheld, they may hold a prompt, sha256 {digest}"
    return Reject(f"{reject.reason} ({withheld})", None, reject.position, reject.job_id)
