"""What only the answer by id tells of a job: its cost, its videos (their number alone), its content filter.

Bifrost sends `videos` and `content_filter {filtered_count, reasons}`; Google's own answers name the filter
`raiMediaFiltered…`; Azure counts `n_variants` and sends `generations`; routers such as OpenRouter put the
cost into `usage.cost` and links into `unsigned_urls`. No link and no media leave this module.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

from etl.log_records import JobDetails
from etl.transform.json_values import Unusable, clean_text, decode_json
from etl.transform.privacy import Options, Scrubber, find_prompts

_OUTPUTS = ("videos", "generations", "unsigned_urls")
_VARIANTS = ("n_variants", "variants")
_FILTERS = (
    ("content_filter", "filtered_count", "reasons"),
    ("response", "raiMediaFilteredCount", "raiMediaFilteredReasons"),
    (None, "raiMediaFilteredCount", "raiMediaFilteredReasons"),
)
_MOST, _MOST_REASONS, _LONGEST = Decimal(10) ** 8, 20, 500
#: A link, and what may sign it.
_LINK = re.compile(r"([a-z][a-z0-9+.-]*://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", re.IGNORECASE)


def read_details(raw: bytes, options: Options) -> JobDetails:
    """Raises Unusable for an answer that is no object."""
    job = decode_json(raw)
    if type(job) is not dict:
        raise Unusable("an answer by id that is no object")
    filtered, reasons = _content_filter(job)
    return JobDetails(
        cost=_cost(job),
        outputs=next((len(job[name]) for name in _OUTPUTS if type(job.get(name)) is list), None),
        variants=next((n for name in _VARIANTS if (n := _number_of(job.get(name))) is not None), None),
        filtered=filtered,
        reasons=_told(reasons, job, options),
    )


def _cost(job: dict[str, Any]) -> Decimal | None:
    usage = job.get("usage")
    found = [job.get("cost"), usage.get("cost") if type(usage) is dict else None]
    return next((cost for value in found if (cost := _money(value)) is not None), None)


def _money(value: Any) -> Decimal | None:
    if type(value) is str:
        value = _figure(value)
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        return None
    amount = Decimal(str(value))
    return round(amount, 6) if amount < _MOST else None


def _figure(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _number_of(value: Any) -> int | None:
    if type(value) is list:
        return len(value)
    return value if type(value) is int and 0 <= value < 2**31 else None


def _content_filter(job: dict[str, Any]) -> tuple[int | None, list[str]]:
    for inside, count, why in _FILTERS:
        told = job if inside is None else job.get(inside)
        if type(told) is dict and (count in told or why in told):
            given = told.get(why)
            texts = [given] if type(given) is str else given if type(given) is list else []
            return _number_of(told.get(count)), [text for text in texts if type(text) is str and text]
    return None, []


def _told(reasons: list[str], job: dict[str, Any], options: Options) -> tuple[str, ...]:
    """The reasons without signatures, credentials and, unless they are stored, prompts."""
    texts = [
        _LINK.sub(r"\1", options.mask.text(clean_text(text)))[:_LONGEST] for text in reasons[:_MOST_REASONS]
    ]
    if options.prompts != "store":
        scrubber = Scrubber(find_prompts(job), options)
        texts = [scrubber.message(text) for text in texts]
    return tuple(texts)
