"""Logs: structured events to stderr, and the redactor that every text passes before it leaves.

Nothing heavy is imported until `set_up_logging` or `get_logger` is called.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

MASK = "****"
#: Stands in stored data where a gateway echoed a credential of ours.
HIDDEN = "[credential hidden by bifrost-etl]"
_CHATTY = ("urllib3", "apscheduler", "alembic", "uvicorn.access", "asyncio", "apprise")
T = TypeVar("T")
LogEvent = MutableMapping[str, Any]
_SECRET_KEYS = {
    "authorization",
    "proxy-authorization",
    "x-bf-vk",
    "api_key",
    "virtual_key",
    "password",
    "cookie",
}
_SHORTEST = 4  # shorter texts are masked only where a pattern finds them: "a" is in every word
#: What a terminal obeys instead of showing it (C0, DEL and C1 but for line breaks and tabs), and halves of
#: characters, which no output can encode.
_CONTROLS = [n for n in (*range(0x20), *range(0x7F, 0xA0)) if chr(n) not in "\t\n"]
_UNSEEN = dict.fromkeys((*_CONTROLS, *range(0xD800, 0xE000)), "\N{REPLACEMENT CHARACTER}")
_AS_JSON = {n: f"\\u{n:04x}" for n in _UNSEEN if n > 0x20}
_BEYOND_JSON = re.compile(r"[\x7f-\x9f\ud800-\udfff]")
_ON_A_LINE = _UNSEEN | dict.fromkeys(map(ord, "\t\n"), " ")
_PATTERNS = (
    # An Authorization header as text, as JSON or as a dict's repr, whatever the scheme.
    (r"((?:proxy-)?authorization['\"]?\s*[:=]\s*['\"]?)(?:[A-Za-z]+\s+)?[^\s'\",;}]+", r"\1"),
    # A token has a digit or is long; "Basic credentials" is prose.
    (r"(\b(?:bearer|basic)\s+)(?=\S*[0-9]|\S{20})[A-Za-z0-9._~+/=-]{6,}", r"\1"),
    (r"()\bsk-bf-[A-Za-z0-9._-]+", r"\1"),
    (r"(://[^\s/:@'\"]*:)[^\s/@'\"]+(?=@)", r"\1"),
)


def make_visible(text: str, *, lines: bool = True) -> str:
    """`text` without characters that a terminal would obey; `lines` keeps breaks and tabs."""
    return text if text.isprintable() else text.translate(_UNSEEN if lines else _ON_A_LINE)


def visible_json(text: str) -> str:
    """A JSON text of the same value: `json.dumps` escapes the first 32 controls, and not the rest."""
    return text.translate(_AS_JSON) if _BEYOND_JSON.search(text) else text


class Redactor:
    """Masks secrets in text or bytes: as they are, URL-encoded, in base64 and in JSON; longest first."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms_of_secret(secret)}
        alternatives = [re.escape(form) for form in sorted(found, key=lambda form: (-len(form), form))]
        self._known = re.compile("|".join(alternatives)) if alternatives else None
        self._known_bytes = re.compile("|".join(alternatives).encode()) if alternatives else None
        self._patterns = [(re.compile(p, re.I), r + MASK) for p, r in _PATTERNS]
        self._patterns_bytes = [(re.compile(p.encode(), re.I), (r + MASK).encode()) for p, r in _PATTERNS]

    def __call__(self, text: T) -> T:
        """The same text with secrets masked; what is neither str nor bytes comes back as it is."""
        result: Any = text
        if isinstance(text, str):
            result = self._known.sub(MASK, text) if self._known else text
            for pattern, mask in self._patterns:
                result = pattern.sub(mask, result)
        elif isinstance(text, bytes):
            result = self._known_bytes.sub(MASK.encode(), text) if self._known_bytes else text
            for pattern_bytes, mask_bytes in self._patterns_bytes:
                result = pattern_bytes.sub(mask_bytes, result)
        return result  # type: ignore[no-any-return]

    def deep(self, value: Any) -> Any:
        """A log value with secrets masked: containers are walked, objects are shown by their masked repr."""
        if isinstance(value, str | bytes):
            return self(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self(str(key)): self.field(str(key), item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.deep(item) for item in value]
        return self(str(value))

    def field(self, key: str, value: Any) -> Any:
        """A named log value: text under a name that says secret is masked whatever it is."""
        return MASK if isinstance(value, str) and key.lower() in _SECRET_KEYS else self.deep(value)


class EchoMask:
    """Hides credentials that a gateway echoes inside what is stored (guarantee 7), and nothing else.

    `credentials` must be unmistakable (`Source.credentials`): a word would be cut out of data.
    """

    def __init__(self, credentials: Iterable[str]) -> None:
        found = {form for credential in credentials for form in _forms_of_secret(credential)}
        self._texts = sorted(found, key=lambda form: (-len(form), form))
        self._bytes = [form.encode() for form in self._texts]

    def is_echoed(self, data: bytes) -> bool:
        return any(form in data for form in self._bytes)

    def payload(self, data: bytes) -> bytes:
        """The bytes with each echo replaced by HIDDEN."""
        for form in self._bytes:
            data = data.replace(form, HIDDEN.encode())
        return data

    def text(self, text: str) -> str:
        for form in self._texts:
            text = text.replace(form, HIDDEN)
        return text

    def value(self, value: Any) -> Any:
        """A copy of a decoded JSON value with echoes hidden, in names and at every level."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(child) for child in value]
        if isinstance(value, dict):
            return {self.text(name): self.value(child) for name, child in value.items()}
        return value


def _forms_of_secret(secret: str) -> set[str]:
    """How a secret may be written."""
    import json

    raw = secret.encode()
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    forms |= {repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    forms.add(
        json.dumps(secret)[1:-1].translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&"})
    )  # as Go writes it
    return forms | encoded | {text.rstrip("=") for text in encoded}


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger; call it with an action and its facts: `log.info("page_loaded", source=…, run=…)`.

    Before `set_up_logging`, records go to the standard library's logging, which drops what nobody listens to.
    """
    import structlog

    if not structlog.is_configured():
        _configure_structlog()
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def is_shown(level: str) -> bool:
    """Whether a record of this level goes anywhere. Worth asking before `get_logger` where each start has
    something to say and nearly nobody listens: to import structlog is a fifth of a sync's start."""
    return logging.getLogger().isEnabledFor(logging.getLevelNamesMapping()[level.upper()])


def set_up_logging(level: str, format: str, redactor: Redactor, stream: IO[str] | None = None) -> None:
    """Send structlog's and the standard library's records, redacted, to stderr (or `stream`).

    `level` is debug, info, warning or error. `format` is json, console, or auto, which is console. Colour
    only on a terminal without NO_COLOR. Times are ISO 8601 in UTC. The last call counts.
    """
    global _threshold
    _threshold = logging.getLevelNamesMapping()[level.upper()]
    if "structlog" in sys.modules:
        _configure_structlog()
    out = stream if stream is not None else sys.stderr
    handler = _LogHandler(out, lambda: _make_formatter(out, format, redactor))
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _LogHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(_threshold)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(
            _threshold if _threshold == logging.DEBUG else max(_threshold, logging.WARNING)
        )
    logging.captureWarnings(True)


class _LogHandler(logging.StreamHandler[IO[str]]):
    """Ours, so that a second `set_up_logging` finds and replaces it.

    Structlog is imported for its first record: a run without one starts 0.1 s sooner."""

    def __init__(self, stream: IO[str], formatter: Callable[[], logging.Formatter]) -> None:
        super().__init__(stream)
        self._make_formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        if self.formatter is None:
            self.setFormatter(self._make_formatter())
        return super().format(record)


#: The level that `set_up_logging` chose; None before.
_threshold: int | None = None


def _configure_structlog() -> None:
    import structlog

    threshold = logging.INFO if _threshold is None else _threshold
    plain: list[Processor] = [structlog.processors.KeyValueRenderer(key_order=["event"])]
    wrap = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
    structlog.configure(
        processors=plain
        if _threshold is None
        else [structlog.contextvars.merge_contextvars, *_common_processors(), wrap],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _common_processors() -> list[Processor]:
    from structlog import processors, stdlib

    stamp = processors.TimeStamper(fmt="iso", utc=True)
    return [_leave_out_no_run, stdlib.add_log_level, stdlib.add_logger_name, stamp]


def _leave_out_no_run(_logger: Any, _method: str, event: LogEvent) -> LogEvent:
    """A run has its number from its first commit on."""
    if event.get("run", 0) is None:
        del event["run"]
    return event


def _dump_visibly(event: Any, **options: Any) -> str:
    import json

    return visible_json(json.dumps(event, **options))


def _make_formatter(out: IO[str], format: str, redactor: Redactor) -> logging.Formatter:
    from structlog import dev, processors, stdlib

    def redact(_logger: Any, _method: str, event: LogEvent) -> LogEvent:
        return {key: redactor.field(key, value) for key, value in event.items()}

    def show(_logger: Any, _method: str, event: LogEvent) -> LogEvent:
        """On one line each, but for tracebacks: a value must not look like another record."""
        return {
            key: make_visible(value, lines=key in ("exception", "stack")) if isinstance(value, str) else value
            for key, value in event.items()
        }

    colours = out.isatty() and not os.environ.get("NO_COLOR")
    as_json = processors.JSONRenderer(_dump_visibly, ensure_ascii=False)
    # Tracebacks become text before redaction; structlog's own would show local variables.
    console = dev.ConsoleRenderer(colors=colours, exception_formatter=dev.plain_traceback)
    return stdlib.ProcessorFormatter(
        foreign_pre_chain=_common_processors(),
        processors=[
            stdlib.ProcessorFormatter.remove_processors_meta,
            processors.StackInfoRenderer(),
            processors.format_exc_info,
            redact,
            *([as_json] if format == "json" else [show, console]),
        ],
    )
