"""Texts that stay hidden, and how a name or a text that is one is known."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import unquote

from etl.errors import ConfigError

MASK = "****"


_SECRET_WORD = re.compile(r"pass|secret|token|key|credential|pwd|signature|\bsig\b", re.I)


class Wrong(ValueError):
    """A value is wrong, and this text says so without repeating it; other ValueErrors may repeat it."""


def read_secret_file(path: str) -> str:
    """The text of a secret file without its trailing newline, and without the byte order mark that some
    editors put first. ValueError says why not, without the path."""
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig").rstrip("\r\n")
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except UnicodeDecodeError:
        raise ValueError("this file is not UTF-8 text") from None
    except (OSError, RuntimeError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or "not a usable path"
        raise ValueError(f"this file cannot be read: {reason}") from None
    if not text.strip():
        raise ValueError("this file is empty")
    return text


class Secret:
    """Text that must not be shown: `repr`, `str` and formatting give `****`, `reveal()` the text.

    One that is not there (its variable is not set, its file cannot be read) is an error for whoever needs it,
    and for nobody else: `problem` says what to do.
    """

    __slots__ = ("_file", "_text", "problem")

    def __init__(self, text: str, file: str | None = None, problem: str | None = None) -> None:
        self._text, self._file, self.problem = text, file, problem

    @classmethod
    def missing(cls, problem: str, file: str | None = None) -> Self:
        """A secret that cannot be had now."""
        return cls("", file, problem)

    def kept_in(self, file: str) -> Self:
        """The same, with the path of the file that holds it: platforms replace such files."""
        return type(self)(self._text, file)

    def renewed(self, parse: Callable[[str], Secret] | None = None) -> Self:
        """What the file holds now, read by the parser of its setting; itself where there is no file, or none
        that can be used this moment."""
        if self._file is None:
            return self
        try:
            text = read_secret_file(self._file)
            return type(self)(parse(text).reveal() if parse else text, self._file)
        except ValueError:
            return self

    def reveal(self) -> str:
        """The text. Raises ConfigError when the secret is missing."""
        if self.problem is not None:
            raise ConfigError(self.problem)
        return self._text

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (other._text, other.problem) == (self._text, self.problem)

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text) or self.problem is not None  # a missing token does not mean: no token

    def secrets(self) -> list[str]:
        """The texts that must never be printed."""
        return [self._text] if self._text else []


class SecretUrl(Secret):
    """A URL whose password (and secret-looking query values) must not be shown; the rest may be."""

    __slots__ = ()

    def __str__(self) -> str:
        shown = self._text
        for text in sorted(self.secrets(), key=len, reverse=True):
            shown = shown.replace(text, MASK)
        return shown

    def secrets(self) -> list[str]:
        userinfo, at, _ = self._text.partition("://")[2].split("/")[0].rpartition("@")
        found = [userinfo.partition(":")[2]] if at else []
        query = self._text.partition("?")[2].partition("#")[0]
        for pair in re.split("[&;]", query):
            key, _, value = pair.partition("=")
            if _SECRET_WORD.search(key):
                found.append(value)
        return list(dict.fromkeys(form for text in found if text for form in (text, unquote(text))))


def looks_secret(key: str) -> bool:
    """Whether a setting of this name usually holds a secret."""
    return bool(_SECRET_WORD.search(key))


_NO_SIGNS = re.compile(r"[^A-Za-z0-9]")


_CHANGE = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[a-z0-9])|(?<=[0-9])(?=[A-Za-z])")


def is_unmistakable(secret: str) -> bool:
    """Whether a secret is so long and random-looking that it stands in no text by chance.

    Words, model names and dates seldom change between small letters, capitals and digits; random texts do at
    every second character.
    """
    plain = _NO_SIGNS.sub("", secret)
    changes = len(_CHANGE.findall(plain))
    return " " not in secret and len(plain) >= 12 and changes >= max(6, len(plain) // 5)
