"""One value of the configuration as the type that its field wants, and in words what that is."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from etl.config.node import Node
from etl.config.secret import Secret, Wrong
from etl.config.values import ParsedBy, suggest_spelling

_WORDS = {bool: "true or false", str: "text (put quotes around it)", int: "a whole number", float: "a number"}


class Invalid(Exception):
    """One value is wrong; the text says what is expected."""


def convert_scalar(node: Node, kind: Any) -> Any:
    """A scalar as the wanted type. Raises Invalid with what is expected."""
    for extra in getattr(kind, "__metadata__", ()):
        if isinstance(extra, ParsedBy):
            value = _parse_value(node.value, extra)
            return value.kept_in(node.file) if isinstance(value, Secret) and node.file else value
    value = node.value
    base = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if isinstance(value, dict | list):
        raise Invalid(f"expects {describe_expected(kind)}")
    words = get_args(base) if get_origin(base) is Literal and isinstance(value, str) else ()
    try:
        # Text from a variable may mean a number; text in quotes may not.
        return msgspec.convert(value, kind, strict=not (node.expanded and base is not str))
    except msgspec.ValidationError:
        raise Invalid(f"expects {describe_expected(kind)}{suggest_spelling(str(value), words)}") from None


def _parse_value(value: Any, how: ParsedBy) -> Any:
    try:
        return how.parse(value)
    except Wrong as exc:
        raise Invalid(str(exc)) from None
    except (ValueError, OverflowError):  # the second: a number beyond every float
        raise Invalid(f"expects {how.expects}") from None


def describe_expected(kind: Any) -> str:
    """What a field takes, in words."""
    base = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(base) is Literal:
        return "one of " + ", ".join(map(str, get_args(base)))
    words = _WORDS.get(base) or "a date such as 2026-01-31"
    for meta in getattr(kind, "__metadata__", ()):
        words += _describe_bounds(meta)
    return words


def _describe_bounds(meta: msgspec.Meta) -> str:
    if meta.pattern:
        return " of three capital letters, such as USD" if "A-Z" in meta.pattern else ""
    if meta.gt is not None:
        return f" greater than {meta.gt}"
    if meta.ge is not None:
        return f" from {meta.ge} to {meta.le}" if meta.le is not None else f", at least {meta.ge}"
    return ""
