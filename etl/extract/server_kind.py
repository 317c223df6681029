"""Which kind of server answers, where `profile: auto` leaves it open: told by its answers, or asked in turn.

A server that refuses its list as Bifrost is asked for it is asked once more as each other kind would be, and
from then on as the one that gave its list. Whatever signs its answers as
Bifrost does is one, and asked as one, be it in the midst of this, or after it was taken for something else.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable, Iterator

from etl.config import Source
from etl.config.profiles import PROFILES, ProfileName
from etl.errors import DeadCursor, GatewayError, NotFound
from etl.extract.paging import item_ids
from etl.records import RawPage

#: Says that a body is Bifrost's own, be it a refusal.
BIFROSTS = (b'"is_bifrost_error"', b'"extra_fields"')
_WRAPPED = b"litellm:custom_llm_provider:"
_LITELLM_HEADER = "x-litellm-"
#: What a server answers that is asked at another's address, with another's credentials or parameters.
_REFUSALS = (400, 401, 403, 404, 405, 422)
#: What a proxy asks when no provider is named.
_USUAL = (None, "openai")


class ServerKind:
    """As which kind one source's server is asked. Thread-safe.

    `become` is called with the profile that it is asked as from now on. `seen` is what its answers look like,
    None before the first one.
    """

    def __init__(self, source: Source, become: Callable[[ProfileName], None]) -> None:
        self._source, self._tell = source, become
        self.profile: ProfileName = source.profile
        self.seen: ProfileName | None = None
        self._open = source.profile == "auto"
        self._is_litellm = False
        self._lock = threading.Lock()

    @property
    def found(self) -> ProfileName | None:
        """What was found out, where the settings leave it open."""
        return None if self.profile == self._source.profile else self.profile

    def recall(self, found: str | None) -> None:
        """What earlier runs found out: believed until the server says otherwise."""
        if self._open and found in PROFILES:
            self._become(found)

    def hear(self, headers: object) -> None:
        """The headers of any answer: a proxy names itself there."""
        if self._open and self.seen != "bifrost" and not self._is_litellm:
            self._is_litellm = any(str(name).lower().startswith(_LITELLM_HEADER) for name in headers)  # type: ignore[attr-defined]

    def ask(
        self, ask_list: Callable[[int | None], RawPage], attempts: int | None, *, is_first: bool
    ) -> RawPage:
        """The page that `ask_list(attempts)` gives, asked as the kind of server that gives it."""
        asked_as = self.profile
        try:
            page = ask_list(attempts)
        except GatewayError as error:
            if error.by_bifrost and self._goes_back(asked_as):
                return ask_list(attempts)
            if not (self._open and self._may_be_another(error, is_first=is_first)):
                raise
            found = self._ask_in_turn(asked_as, ask_list)
            if found is None:
                raise
            return found
        if page.extra_fields is not None and self._goes_back(asked_as):
            return ask_list(attempts)
        if not self._open or self.seen is not None:
            return page
        return self._recognise(page, lambda: ask_list(attempts))

    def _goes_back(self, asked_as: ProfileName) -> bool:
        """A Bifrost was asked as another kind, and is asked as itself from now on."""
        if not self._open or asked_as == "auto":
            return False
        with self._lock:
            self._settle_for_bifrost()
        return True

    def _settle_for_bifrost(self) -> None:
        self._become("auto")
        self.seen = "bifrost"

    def _may_be_another(self, error: GatewayError, *, is_first: bool) -> bool:
        """A refusal behind a cursor may be about that one: it says nothing, unless the kind was found out by
        an earlier run and the refusal names no cursor."""
        if self.seen == "bifrost":
            return False
        if not is_first and (self.found is None or isinstance(error, DeadCursor | NotFound)):
            return False
        if self._is_litellm:
            return is_first
        return error.by_bifrost is False and error.status in _REFUSALS

    def _ask_in_turn(
        self, asked_as: ProfileName, ask_list: Callable[[int | None], RawPage]
    ) -> RawPage | None:
        with self._lock:
            if self.profile != asked_as or self.seen == "bifrost":  # another thread has found it out
                return ask_list(None)
            if not self._open:  # and another one in vain
                return None
            for name in self._other_kinds():
                page, is_bifrost = self._try_kind(name, ask_list)
                if is_bifrost and name != "auto":
                    self._settle_for_bifrost()
                    return None
                if page is not None:
                    self.seen = "bifrost" if is_bifrost else name
                    return page
            self._become(asked_as)
            self._open = False
            return None

    def _try_kind(
        self, name: ProfileName, ask_list: Callable[[int | None], RawPage]
    ) -> tuple[RawPage | None, bool]:
        """The page, if it gives one, and whether a Bifrost answered."""
        self._become(name)
        try:
            page = ask_list(1)
        except GatewayError as error:
            return None, bool(error.by_bifrost)
        return page, page.extra_fields is not None

    def _other_kinds(self) -> Iterator[ProfileName]:
        source = self._source
        if self._is_litellm:
            yield "litellm"
            return
        yield "openai"  # the same without the provider, which a strict server refuses
        yield "azure"
        yield "inworld"
        if source.provider not in _USUAL:
            yield "litellm"
        if self.profile != "auto":
            yield "auto"

    def _recognise(self, page: RawPage, again: Callable[[], RawPage]) -> RawPage:
        with self._lock:
            if page.extra_fields is not None:
                self.seen = "bifrost"
            elif self._is_litellm or _is_wrapped(page):
                self.seen = "litellm"
                if self._source.provider not in _USUAL and self.profile == "auto":
                    self._become("litellm")  # it listed the usual provider's jobs, not this one's
                    return again()
            elif page.items:
                self.seen = "openai"
            return page

    def _become(self, name: ProfileName) -> None:
        self.profile = name
        self._tell(name)


def _is_wrapped(page: RawPage) -> bool:
    """Whether ids are a LiteLLM proxy's: base64 that names the provider."""
    for job_id in item_ids(page)[:1]:
        try:
            return base64.b64decode(job_id.removeprefix("video_"), validate=True).startswith(_WRAPPED)
        except (binascii.Error, ValueError):
            return False
    return False
