"""Takes the texts of a person out of a row that is stored, or is about to be: figures and states stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from etl.records import JobRow
from etl.transform.json_values import Unusable, decode_json, json_text
from etl.transform.privacy import Options, Scrubber, find_prompts

_DROP = Options(prompts="drop")


class QuotingTexts(NamedTuple):
    """The columns of a job that may quote its prompt."""

    prompt: str | None
    error_message: str | None
    extra: str | None


def find_texts(texts: QuotingTexts) -> Iterator[str]:
    """Every prompt that the columns name."""
    if texts.prompt:
        yield texts.prompt
        yield texts.prompt.strip()
    yield from find_prompts(_decode_extra(texts.extra))


def erase_texts(texts: QuotingTexts, prompts: Iterable[str] = ()) -> QuotingTexts:
    """The columns as a source with `prompts: drop` would have them; `prompts` are known besides their own."""
    scrubber = Scrubber({*prompts, *find_texts(texts)}, _DROP)
    extra = _decode_extra(texts.extra)
    kept = scrubber.members(extra) if isinstance(extra, dict) else None
    message = texts.error_message
    return QuotingTexts(None, message and scrubber.message(message), json_text(kept) if kept else None)


def erase_row(row: JobRow) -> JobRow:
    """The row without its texts. Its digest stays: it tells whether the gateway shows something new."""
    return row._replace(**erase_texts(texts_of(row))._asdict())


def texts_of(row: Any) -> QuotingTexts:
    return QuotingTexts(row.prompt, row.error_message, row.extra)


def erase_message(text: str | None, prompts: Iterable[str] = ()) -> str | None:
    """A message without quotations, and without these prompts."""
    return text and Scrubber(prompts, _DROP).message(text)


def erase_quotations(text: str, prompts: Iterable[str]) -> str:
    """A text of the log, which quotes other things as well: touched only where it quotes one of these."""
    scrubber = Scrubber(prompts, _DROP)
    return scrubber.message(text) if scrubber.is_quoted(text) else text


def erase_members(document: str, prompts: Iterable[str]) -> str | None:
    """Members of an object, as JSON, that are touched only where they quote one of these."""
    scrubber = Scrubber(prompts, _DROP)
    if not scrubber.is_quoted(document):
        return document
    decoded = _decode_extra(document)
    return json_text(scrubber.members(decoded)) if isinstance(decoded, dict) else None


def _decode_extra(extra: str | None) -> Any:
    try:
        return decode_json(extra.encode()) if extra else None
    except Unusable:
        return None
