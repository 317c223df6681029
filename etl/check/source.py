"""Probing a source: would a sync find what it needs? Few requests, one finding per question.

What cannot be known, because too little is listed or an earlier question failed, is said, never passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from etl.check.finding import Finding
from etl.check.gateway_log import check_log
from etl.config import Source
from etl.config.profiles import PROFILES
from etl.errors import BadRequest, Forbidden, GatewayError, Unauthorized
from etl.extract import GatewayClient
from etl.extract.client import NO_RAW_PAYLOADS
from etl.extract.paging import other_paging
from etl.extract.reply_headers import GATEWAY_CACHE, PROXY_CACHE
from etl.records import Order, PageRequest, PageRows
from etl.transform import Options, transform_page
from etl.words import count_noun

#: Jobs asked for at a time: few, so that a short list still has a second page.
LIMIT = 2
#: How often the same page is asked for, to see whether several accounts take turns: with two keys of equal
#: weight, as many answers from one of them alone come about once in sixty times.
SAMPLES, SAMPLES_PINNED = 7, 2
#: Seconds by which the gateway's clock may differ; its Date header counts whole seconds.
SKEW = 30.0
WORD_FOR_KEY = "use a long random key; let the proxy in front send headers that are not secret"


#: What to do about jobs that two sources list, by whether both have one address.
TWINS = {
    True: "both keys belong to one account: one source is enough",
    False: "two addresses of one gateway, or of one account: one source is enough, or give both one base_url",
}


class Probe:
    """Questions to one source. Ask with `findings()`."""

    def __init__(self, source: Source, gateway: GatewayClient) -> None:
        self._source, self._gateway = source, gateway
        self._options = Options(prompts="drop", raw_payloads="drop")
        self._pages: list[PageRows] = []

    def findings(self) -> Iterator[Finding]:
        """Every finding about the source, in an order in which each makes sense after the last."""
        yield self._check_health()
        yield from self._plain_secrets()
        if self._source.reads_log:
            yield from check_log(self._source, self._gateway, self._options)
        if self._source.discover == "logs":
            return
        try:
            first = self._read_page("asc")
        except GatewayError as exc:
            yield from self._explain_refusal(exc)
            return
        yield self._make_finding("credentials", True, "accepted")
        yield self._check_profile()
        yield self._make_finding("list", True, "answers" if first.jobs else "answers, with no job yet")
        try:
            yield from self._check_paging(first)
        except GatewayError as exc:
            yield self._make_finding("paging", False, str(exc), exc.hint)
        yield self._check_clock(first)
        yield self._check_cache()
        yield from self._raw_payloads(first)

    def twins(self, others: Sequence[Probe]) -> Iterator[Finding]:
        """Nothing, unless another source listed the same jobs: two keys of one account, or two addresses of
        one gateway."""
        ours = self._listed_jobs()
        for other in others:
            if ours & other._listed_jobs():
                is_one = self._source.base_url == other._source.base_url
                detail = f"lists the same jobs as {other._source.name}: everything is read twice and counted "
                yield self._make_finding(
                    "jobs of its own", False, detail + ("once" if is_one else "twice"), TWINS[is_one]
                )

    def _listed_jobs(self) -> set[tuple[str, datetime | None]]:
        return {(row.job_id, row.created_at) for page in self._pages for row in page.jobs}

    def _raw_payloads(self, first: PageRows) -> Iterator[Finding]:
        if self._source.raw_payloads == "store" and first.page.items:
            given = b'"raw_response"' in (first.page.extra_fields or b"")
            detail = "the gateway sends them" if given else "asked for, and not sent"
            yield self._make_finding("raw payloads", given, detail, None if given else NO_RAW_PAYLOADS)

    def _make_finding(self, what: str, good: bool | None, detail: str, hint: str | None = None) -> Finding:
        return Finding(what, good, detail, hint, self._source.name)

    def _read_page(self, order: Order, after: str | None = None) -> PageRows:
        page = self._gateway.page(PageRequest(after, order, LIMIT), attempts=2)
        rows = transform_page(page, self._options, source_provider=self._source.provider)
        self._pages.append(rows)
        return rows

    # reachable, allowed, able

    def _check_health(self) -> Finding:
        try:
            self._gateway.health()
        except GatewayError as exc:
            if exc.status is None:
                return self._make_finding(
                    "gateway", False, str(exc), exc.hint or "is base_url right, and is the gateway running?"
                )
            return self._make_finding(
                "gateway", None, f"answers, but /health says {exc.status}; not every gateway has it"
            )
        return self._make_finding("gateway", True, "reachable and healthy")

    def _plain_secrets(self) -> Iterator[Finding]:
        if plain := self._source.plain_secrets():
            detail = f"{', '.join(plain)}: could be an ordinary word: masked in messages, not in stored data"
            yield self._make_finding("secrets", None, detail, WORD_FOR_KEY)

    def _explain_refusal(self, exc: GatewayError) -> Iterator[Finding]:
        if isinstance(exc, Unauthorized | Forbidden):
            yield self._make_finding("credentials", False, str(exc), exc.hint)
            yield self._make_finding("list", None, "not checked: the credentials were refused")
            return
        yield self._make_finding("credentials", None, "not checked: the list did not answer")
        yield self._make_finding("list", False, str(exc), exc.hint)

    # which kind of server

    def _check_profile(self) -> Finding:
        kind = self._gateway.kind
        if self._source.profile != "auto":
            return self._make_finding("profile", True, f"{self._source.profile}, as configured")
        if kind.seen is None:
            return self._make_finding("profile", None, "not checked: the list is empty")
        said = f"found out: {PROFILES[kind.seen].title}"
        return self._make_finding("profile", True, said + (", and asked so" if kind.found else ""))

    # accounts, limit, order, cursor

    def _check_paging(self, first: PageRows) -> Iterator[Finding]:
        ids = _job_ids(first)
        yield self._check_limit(ids)
        yield from self._check_page_size()
        one = self._check_accounts(ids)
        yield one
        if one.good is False:
            for what in ("order", "cursor"):
                yield self._make_finding(what, None, "not checked: several accounts take turns")
        elif not ids:
            for what in ("order", "cursor"):
                yield self._make_finding(what, None, "not checked: the list is empty")
        else:
            yield self._check_order(ids)
            yield self._check_cursor(first, ids)

    def _check_limit(self, ids: list[str]) -> Finding:
        if len(ids) > LIMIT:
            said = f"asked for {LIMIT} jobs, got {len(ids)}: the gateway ignores limit"
            known = self._is_known_to_show_one_page()
            return self._make_finding("limit", None if known else False, said, None if known else _UNLIMITED)
        good = True if len(ids) == LIMIT else None
        return self._make_finding(
            "limit", good, "honoured" if good else f"not checked: {_count_of_jobs(len(ids))} listed"
        )

    def _check_page_size(self) -> Iterator[Finding]:
        """Nothing, unless pages as long as a sync asks for are refused."""
        size = self._source.page_size
        try:
            self._gateway.page(PageRequest(None, "asc", size), attempts=2)
        except BadRequest as exc:
            detail = f"pages of {size}, as `page_size` says, are refused: {exc}"
            yield self._make_finding("limit", False, detail, exc.hint)

    def _check_accounts(self, ids: list[str]) -> Finding:
        pinned = self._source.key_name or self._source.key_id
        samples = SAMPLES_PINNED if pinned else SAMPLES
        for asked in range(2, samples + 1):
            other = _job_ids(self._read_page("asc"))
            if not set(ids) & set(other) and (ids or other):
                said = f"the same page, asked {asked} times, came from two{self._answering_keys()}"
                return self._make_finding("account", False, said, _PIN)
        if not ids:
            return self._make_finding("account", None, "not checked: the list is empty")
        named = self._answering_keys()
        said = f"{samples} answers to the same question came from one{named}"
        if not (pinned or named or self._source.probe_accounts):
            said += "; syncs do not ask (`probe_accounts: false`), so one that is added later goes unnoticed"
        return self._make_finding("account", True, said)

    def _answering_keys(self) -> str:
        """The gateway's keys that have answered, where it names them."""
        keys = sorted({rows.facts.account for rows in self._pages if rows.facts.account})
        return f" ({', '.join(keys)})" if keys else ""

    def _check_order(self, ids: list[str]) -> Finding:
        if len(ids) < 2:
            return self._make_finding("order", None, "not checked: one job listed")
        if _job_ids(self._read_page("desc")) != ids:
            return self._make_finding("order", True, "oldest first and newest first differ, as they should")
        if self._source.order == "asc":
            return self._make_finding(
                "order", False, "ignored: both orders give the same page", "set order: auto"
            )
        return self._make_finding("order", True, "ignored by the gateway; the list is read newest first")

    def _check_cursor(self, first: PageRows, ids: list[str]) -> Finding:
        following = first.page.following  # as a sync would go on
        if following is None:
            return self._make_finding(
                "cursor",
                None,
                f"not checked: {_count_of_jobs(len(ids))} listed, no second page{other_paging(first.page)}",
            )
        second = _job_ids(self._read_page("asc", after=following.after))
        if set(second) & set(ids):
            said = f"ignored: the second page repeats the first{other_paging(first.page)}"
            if self._is_known_to_show_one_page():
                return self._make_finding("cursor", None, said, _OVERLAP)
            return self._make_finding("cursor", False, said, _UNPAGED)
        if not second and first.page.has_more:
            return self._make_finding(
                "cursor", False, "the second page is empty, though more was promised", _UNPAGED
            )
        return self._make_finding("cursor", True, "honoured: the second page continues the first")

    def _is_known_to_show_one_page(self) -> bool:
        """Somebody said so, or it is what such a server does: no fault to be mended before a sync."""
        kind = self._gateway.kind.seen or self._source.profile
        return self._source.window == "always" or PROFILES[kind].one_page

    # clock, cache

    def _check_clock(self, first: PageRows) -> Finding:
        date = first.page.gateway_date
        if date is None:
            return self._make_finding("clock", None, "not checked: answers carry no Date header")
        # The answer was dated at its beginning; a long page takes its time.
        arrived = first.page.received_at
        asked = arrived - timedelta(seconds=first.page.duration)
        skew = (date - min(max(date, asked), arrived)).total_seconds()
        if abs(skew) <= SKEW:
            return self._make_finding("clock", True, "the gateway's agrees with ours")
        which = "ahead of" if skew > 0 else "behind"
        hint = "synchronise both clocks (NTP): ages and durations compare the two"
        return self._make_finding("clock", False, f"the gateway's is {abs(skew):.0f}s {which} ours", hint)

    def _check_cache(self) -> Finding:
        stale = sum(rows.stale for rows in self._pages)
        if not stale:
            return self._make_finding(
                "cache", True, "pages come from the provider, not from the gateway's cache"
            )
        hint = PROXY_CACHE if any(rows.page.cached for rows in self._pages) else GATEWAY_CACHE
        return self._make_finding(
            "cache", False, f"{stale} of {count_noun(len(self._pages), 'page')} came from a cache", hint
        )


_OVERLAP = "only the newest page can be read: sync so often that pages overlap"
_UNPAGED = f"{_OVERLAP}, and set `window: always` if you know"
_UNLIMITED = f"no harm where the cursor is honoured; otherwise {_UNPAGED}"
_PIN = (
    "the provider has several keys: make one source for each, pinned with key_name (see `bifrost-etl init`)"
)


def _job_ids(rows: PageRows) -> list[str]:
    return [row.job_id for row in rows.jobs]


def _count_of_jobs(count: int) -> str:
    return "no job" if count == 0 else count_noun(count, "job")
