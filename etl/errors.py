"""Every error this package raises on purpose, named by what to do about it.

EtlError
├── ConfigError             fix the configuration or the command line (exit code 2)
├── GatewayError            anything the gateway or the way to it did
│   ├── Fatal               asking again cannot help; the source waits for a person
│   │   ├── Unauthorized        401: the key is wrong
│   │   ├── Forbidden           402/403: the key is right but barred, blocked or out of budget
│   │   ├── Unsupported         this provider cannot list videos, is not configured, or has no usable key
│   │   └── BadRequest          another 4xx: what we asked was refused
│   ├── Retriable           the same request may succeed in a moment
│   │   ├── Unreachable         no connection, reset, DNS, TLS or proxy failure
│   │   ├── TimedOut            our read timeout, or the gateway's 504
│   │   ├── RateLimited         429; carries retry_after in seconds when the answer named one
│   │   ├── ServerFault         5xx, and the gateway's transient 400s
│   │   └── GarbledAnswer       truncated, not JSON, not UTF-8, wrong content type, too large
│   ├── Unparseable         500 "failed to unmarshal…": a poison record is on this page (page-level)
│   ├── NotFound            404: by id, the job is gone; of a list, the cursor died or the path is wrong
│   ├── DeadCursor          the gateway no longer knows the job the cursor names (page-level)
│   ├── LogUnreadable       the list was read, but the gateway's own log refuses
│   └── PagingError         the pages contradict each other; the run stops (page-level)
│       ├── RepeatedPage        a page brought nothing new or repeated its cursor
│       ├── OrderIgnored        pages go backwards, or order=asc was asked for and not given
│       ├── AnotherAccount      answers come from another account than the one that is mirrored
│       └── StalePage           only the gateway's own cache answers
├── SuspiciousScan          a complete scan looks wrong; nothing was marked (the message names the flag)
├── StorageError            the database did, or could not
│   ├── DatabaseUnavailable     not reachable, restarted, connection cut (retriable)
│   ├── DatabaseBusy            locked, deadlocked, serialisation failure (retriable)
│   ├── DatabaseRefused         full, read-only, missing rights
│   ├── CommitLost              the database forgot what it had confirmed; the next run reads on from there
│   └── SchemaMismatch          database older or newer than this code
├── SourceRetired           the source is an archive: it is no longer asked
├── LeaseHeld               another process is writing this source: skip it now
└── LeaseLost               our lease ran out; nothing of this transaction was written
"""

from __future__ import annotations

from typing import Any

from etl.records import PageRequest


class EtlError(Exception):
    """Base of all deliberate errors. `hint` says what a person can do about it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels between processes, whatever its constructor wants; of its cause the words do."""
        cause = self.__cause__
        why = None if cause is None else " ".join(str(cause).split()) or type(cause).__name__
        return _revive_error, (type(self), self.args, dict(self.__dict__), why)


def hint_of(error: BaseException | None) -> str | None:
    """What to do about it, where the error says so."""
    return error.hint if isinstance(error, EtlError) else None


def _revive_error(
    kind: type[EtlError], args: tuple[Any, ...], state: dict[str, Any], why: str | None
) -> EtlError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    error.__cause__ = None if why is None else EtlError(why)
    return error


class ConfigError(EtlError):
    """The configuration or command line is wrong; nothing was done."""


class GatewayError(EtlError):
    """The gateway, or the way to it, failed. `status` is the HTTP status when one arrived.

    `attempts` counts the requests made before giving up; `request` is the page that was asked for, when
    pages were read ahead. `account` is the gateway's key that answered, where it says so; `by_bifrost`:
    whether Bifrost itself wrote the answer, None where nothing was answered.
    """

    request: PageRequest | None = None
    account: str | None = None
    by_bifrost: bool | None = None

    def __init__(
        self, message: str, *, status: int | None = None, hint: str | None = None, attempts: int = 1
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.attempts = attempts


class Fatal(GatewayError):
    """Asking again cannot help; the source waits until its configuration changes."""


class Unauthorized(Fatal):
    """401: the key is wrong, or a virtual key is needed."""


class Forbidden(Fatal):
    """402 or 403: budget spent, key blocked, provider or model barred."""


class ProviderRefused(Fatal):
    """401 or 403 that the gateway passed on from its provider: the provider's key was refused, not ours."""


class Intercepted(Fatal):
    """401 or 403 as a web page: a proxy or a firewall before the gateway refused."""


class Unsupported(Fatal):
    """The provider cannot list, is not configured, or has no usable key."""


class BadRequest(Fatal):
    """Any other 4xx."""


class Retriable(GatewayError):
    """The same request may succeed in a moment; in `retry_after` seconds, when the answer named a time."""

    retry_after: float | None = None


class Unreachable(Retriable):
    """No answer: DNS, connection, TLS, proxy, reset."""


class TimedOut(Retriable):
    """Our own timeout, or the gateway's 504."""


class RateLimited(Retriable):
    """429: too many requests or tokens."""

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        status: int | None = 429,
        hint: str | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(message, status=status, hint=hint, attempts=attempts)
        self.retry_after = retry_after


class ServerFault(Retriable):
    """5xx, or one of the 400s that the gateway gives for transient faults."""


class GarbledAnswer(Retriable):
    """A 200 whose body is truncated, not JSON, of the wrong content type, or too large.

    `hopeless` when trying again is unlikely to help: a web page, a body over the limit. `whole` when the body
    came to its end, so that what is wrong stands in one of its items.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        hint: str | None = None,
        hopeless: bool = False,
        whole: bool = False,
    ) -> None:
        super().__init__(message, status=status, hint=hint)
        self.hopeless, self.whole = hopeless, whole


class Unparseable(GatewayError):
    """500 `failed to unmarshal…`: a record on this page breaks the gateway itself."""


class NotFound(GatewayError):
    """404. `json_body` tells an API's answer from a web server's."""

    def __init__(
        self, message: str, *, json_body: bool, status: int | None = 404, hint: str | None = None
    ) -> None:
        super().__init__(message, status=status, hint=hint)
        self.json_body = json_body


class DeadCursor(GatewayError):
    """The gateway no longer knows the job that the cursor names."""


class LogUnreadable(GatewayError):
    """The gateway's own log refuses, although its list answers: who asked for jobs is not known."""


class PagingError(GatewayError):
    """Pages contradict each other; going on could loop or skip."""


class RepeatedPage(PagingError):
    """A page brought no new job, or repeated its cursor."""


class OrderIgnored(PagingError):
    """Pages go backwards, or do not come in the order asked for."""


class SkippedPages(PagingError):
    """A walk left out a stretch of the list: pages of several accounts were mixed, or this program is at
    fault. Nothing of that batch is stored."""

    def __init__(self, expected: str | None, asked: str | None) -> None:
        super().__init__(
            f"a walk went on behind {asked!r}, but the last job read was {expected!r}; it is not stored",
            hint="perhaps several accounts answer by turns: run `check`, and pin a key (`key_name`);"
            " if only one answers, please report it; `bifrost-etl reconcile` reads everything",
        )


class AnotherAccount(PagingError):
    """A key of another account than the one that this source mirrors has answered."""


class StalePage(PagingError):
    """The gateway's cache answers, again and again."""


class SuspiciousScan(EtlError):
    """A complete scan contradicts what is known; nothing was marked as unlisted."""


class StorageError(EtlError):
    """The database failed."""


class DatabaseUnavailable(StorageError):
    """Not reachable, restarted, or the connection was cut. Worth retrying."""


class DatabaseBusy(StorageError):
    """Locked, deadlocked, or a serialisation failure. Worth retrying."""


class DatabaseRefused(StorageError):
    """Disk full, read-only, or missing rights: a person must act."""


class DuplicateRow(StorageError):
    """A row with this key is stored already."""


class CommitLost(StorageError):
    """A commit that was confirmed is gone: restored from a backup, or a standby took over that lagged."""

    def __init__(self) -> None:
        super().__init__(
            "the database has lost a commit that it had confirmed; nothing more was written",
            hint="was it restored, or did a standby take over? The next run reads on from what is there",
        )


class SchemaMismatch(StorageError):
    """The database's schema is not the one this code was written for."""


class SourceRetired(EtlError):
    """The source is an archive: its upstream is gone for good, and nobody asks it any more."""


class LeaseHeld(EtlError):
    """Another process is writing this source."""


class LeaseLost(EtlError):
    """The lease ran out or was taken over; the transaction was rolled back."""


def is_refusal(error: BaseException | None) -> bool:
    """The gateway itself refuses these settings: 401, 403, unsupported.

    A spent budget (402) fills up again, a 400 of an unknown kind may be about one request only, and what a
    provider or a proxy refuses is nothing that these settings could mend.
    """
    if isinstance(error, Forbidden):
        return error.status != 402
    return isinstance(error, Unauthorized | Unsupported)
