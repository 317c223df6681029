"""Whose answer is this? From 2.0 on the gateway names the key that answered; several keys may be several
accounts.

The first one that speaks becomes the source's own. Another key is of the same account when the own key reads
one of its jobs by id. Otherwise nothing of it is stored or believed, and the own key is asked instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from etl.config import Source
from etl.errors import AnotherAccount, Fatal, GarbledAnswer, GatewayError, NotFound, Unparseable, Unsupported
from etl.extract import GatewayClient
from etl.load.learned import Learned
from etl.records import PageRequest, PageRows

_T = TypeVar("_T")

#: Jobs of another key's page that are asked of the own key: one may just have been deleted.
PROOFS = 2
#: So often a page of so many jobs is asked of whoever answers, to hear the other key's name.
GLANCES, LOOK = 7, 5


class Accounts:
    """`own` are the keys whose answers count. Thread-safe.

    `known` tells which of some jobs are stored; `peek` asks for a page that nobody believes."""

    def __init__(
        self,
        source: Source,
        gateway: GatewayClient,
        known: Callable[[Sequence[str]], dict[str, Any]],
        peek: Callable[[PageRequest], PageRows],
    ) -> None:
        self._source, self._gateway, self._known, self._peek = source, gateway, known, peek
        self.own: list[str] = []
        self.foreign: set[str] = set()
        self.accepts_doubt = False  # somebody said that it is right
        self.doubted = False  # perhaps another account did not know what was asked for
        self._strange = set[str]()  # keys whose jobs nobody knows, and of whose account nothing can be said
        self._lock = threading.Lock()

    def recall(self, learned: Learned) -> None:
        """What earlier runs found out. Where several accounts answered, only the own key is asked."""
        self.own.extend(learned.accounts)
        if not self.pinned and learned.other_accounts:
            self.foreign.update(learned.other_accounts)
            self._gateway.key = self.own[-1]

    @property
    def pinned(self) -> bool:
        """One key answers, as configured or since another one has spoken."""
        return bool(self._source.key_name or self._source.key_id or self._gateway.key)

    def accept(self, rows: PageRows) -> bool:
        """The page is of the account that this source mirrors, as far as anybody says."""
        key = rows.facts.account
        if key is None:
            return True
        with self._lock:
            if key in self.own:
                return True
            if not self.own and not rows.jobs:
                return True  # an empty list is nobody's
            same = self._is_the_same(rows) if self.own else True
            if same:
                self.own.append(key)
            elif same is None:
                self.doubted = True
                self._strange.update({key} if rows.jobs else ())
            else:
                self.foreign.add(key)
            return bool(same)

    def doubts(self, error: GatewayError) -> bool:
        """Perhaps only another account does not know what was asked for."""
        return bool(self.own) and not self.pinned and error.account not in self.own

    def ask(self, question: Callable[[str | None], _T]) -> _T:
        """The answer of any key, or of the own one where another account may not know what is asked for."""
        try:
            return question(None)
        except NotFound as error:
            if not self.doubts(error):
                raise
            return question(self.own[-1])

    def pin(self) -> None:
        """From now on only the own key is asked, since another one may be another account's. Raises
        AnotherAccount where that was done already."""
        self.doubted = True
        if self.pinned:
            raise self.refusal()
        self._gateway.key = self.own[-1]

    def without_pin(self, error: Unsupported) -> GatewayError:
        """What to raise when the own key cannot be asked: it was pinned here, not by the configuration."""
        if self._gateway.key is None:
            return error
        self._gateway.key = None
        return self.refusal()

    def refusal(self) -> AnotherAccount:
        own, others = self.own[-1], ", ".join(repr(key) for key in sorted(self.foreign)) or "another key"
        if self._source.key_name or self._source.key_id:
            return AnotherAccount(
                f"this source mirrors the account of the gateway's key {own!r}, but {others} answers, which"
                " is another account; nothing was concluded from its answers",
                hint="one source is one account: give the source of the other key another `name`",
            )
        return AnotherAccount(
            f"several accounts answer: this source mirrors that of the gateway's key {own!r}; {others} is"
            " another one, as far as can be told, and nothing of it was stored",
            hint=f"pin this source with `key_name: {own}`, and add a pinned source for each other key",
        )

    def look_around(self) -> None:
        """Who else answers, by name? And do those that did still exist? Each costs a request; nearly always
        there is nobody to ask for.

        All that the own account lists is stored by now. A key that nothing can be said of, and whose newest
        jobs are unknown each time, is another account's."""
        pinned = self._gateway.key
        self._strange.clear()
        self._ask_the_others(self._gateway, PageRequest(None, "desc", LOOK))
        self.foreign.update(self._strange.difference(self.own))
        self._gateway.key = pinned

    def _ask_the_others(self, gateway: GatewayClient, request: PageRequest) -> None:
        if self.doubted and not self.foreign:
            gateway.key = None
            for _ in range(GLANCES):
                if self.foreign:
                    break
                try:
                    self.accept(self._peek(request))
                except Unparseable:  # the newest jobs cannot be read: the oldest one tells as well
                    request = PageRequest(None, "asc", 1)
                except GatewayError:
                    continue
        for key in sorted(self.foreign):
            gateway.key = key
            try:
                rows = self._peek(request)
                is_ours = rows.facts.account == key and self._is_the_same(rows)
            except Unsupported:
                self.foreign.discard(key)  # the gateway has no such key any more
            except GatewayError:
                pass
            else:
                if is_ours:  # what had said otherwise was a hiccup
                    self.foreign.discard(key)
                    self.own.append(key)

    def raise_if_several(self) -> None:
        """At the end of a run: what the other accounts hold was not read."""
        if self.foreign:
            raise self.refusal()

    def _is_the_same(self, rows: PageRows) -> bool | None:
        """The own key reads a job that the other one shows; where it cannot be asked, one is known. None when
        nothing can be said."""
        for row in rows.jobs[:PROOFS]:
            try:
                page = self._gateway.job(row.job_id, key=self.own[-1])
            except NotFound:
                continue
            except GatewayError as error:
                if not isinstance(error, Fatal | GarbledAnswer):
                    raise
                break  # the own key is gone, renewed under another name; or nothing can be read by id here
            return page.account in self.own or None
        else:
            return False if rows.jobs else None
        known = bool(self._known([row.job_id for row in rows.jobs]))
        return known or self.accepts_doubt or None
