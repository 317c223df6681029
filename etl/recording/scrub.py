"""Answers without secrets, prompts, media and signatures; what makes a gateway strange stays."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from etl.extract.provider_bytes import native_id
from etl.log import EchoMask, Redactor
from etl.recording.tape import RecordedExchange
from etl.recording.tokens import Piece, cut_pieces, quote_like, text_of
from etl.transform.privacy import Options, Scrubber, means_prompt

_IDS = frozenset({"id", "remixed_from_video_id", "first_id", "last_id"})
_ACCOUNTS = frozenset({"key", "key_id", "key_name", "selected_key", "organization", "user"})
_KINDS = frozenset({"list", "video", "error"})
_MESSAGES = frozenset({"message", "error"})
_LONGEST_ID = 512
_MEDIA = re.compile(r"data:[\w/+.-]*[;,].*|[A-Za-z0-9+/_=\s-]{256,}", re.DOTALL)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
#: Other people's credentials, which no setting of ours could name.
_CREDENTIALS = re.compile(
    r"\bsk-[\w-]{16,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}|\bgh[pousr]_\w{30,}|\bxox[abprs]-[\w-]{10,}"
    r"|\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]+"
)
#: What could be an id in any other text, for --anonymous.
_ANY_ID = re.compile(r"(?=[\w%-]*[0-9])[\w%-]{16,}(?::[\w-]+)?")
_NEVER_IDS = frozenset({"model", "size", "seconds", "provider", "request_type"})
_BEGINNING = re.compile(rb"(?:\xef\xbb\xbf)?\s*([{\[<])?")
_JSON = (b"{", b"[")


class Cleaner:
    """One recording's replacements: the same text gets the same placeholder wherever it stands.

    secrets: every secret that is known. credentials: those that no other text equals by chance.
    anonymous: ids and names of accounts are hashed with a key that nobody keeps.
    """

    def __init__(
        self,
        exchanges: Iterable[RecordedExchange],
        *,
        secrets_known: Iterable[str],
        credentials: Iterable[str],
        anonymous: bool,
    ) -> None:
        self._redact, self._echo = Redactor(secrets_known), EchoMask(credentials)
        self._placeholders: dict[str, str] = {}
        self._salt = secrets.token_bytes(16) if anonymous else None
        self._prompts = {said for one in exchanges if _is_json(one.body) for said in _find_prompts(one.body)}
        scrubber = Scrubber(self._prompts, Options(prompts="drop", raw_payloads="drop"))
        self._message: Callable[[str], str] = lru_cache(maxsize=None)(scrubber.message)
        self._value: Callable[[str], str] = lru_cache(maxsize=None)(scrubber.value)
        self._is_link: Callable[[str], bool] = lru_cache(maxsize=None)(scrubber.is_link)
        self._name: Callable[[str], str | None] = lru_cache(maxsize=None)(scrubber.name)

    def exchange(self, one: RecordedExchange) -> RecordedExchange:
        """The exchange as it may be given to others."""
        return one._replace(
            path=self._path(one.path),
            query={name: self._parameter(name, value) for name, value in one.query.items()},
            headers={name: self._header(name, value) for name, value in one.headers.items()},
            body=self._echo.payload(self.body(one.body)),
        )

    def body(self, body: bytes) -> bytes:
        if _is_json(body):
            return b"".join(self._piece(piece) for piece in cut_pieces(body))
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return b"\xff" + self._size(body)
        if text.lstrip("\ufeff \t\r\n").startswith("<"):  # only that it is a web page is of use
            return b"<html>" + self._size(body) + b"</html>"
        return self._secretless(self._message(text)).encode("utf-8", "replace")

    def host(self, host: str) -> str:
        return self._hashed(host, "host") if self._salt else host

    def _size(self, body: bytes) -> bytes:
        return b"[withheld: %d bytes]" % len(body)

    def _piece(self, piece: Piece) -> bytes:
        if piece.kind == "rest":
            return piece.raw
        if piece.kind == "junk":
            return b"x" * len(piece.raw)
        text = text_of(piece.raw)
        if piece.kind == "cut":  # half a prompt is a text that no prompt equals
            is_prompt = any(map(means_prompt, piece.path))
            kept = self._placeholder(text, "prompt" if is_prompt else "cut")
        else:
            kept = self._member(text, piece.path) if piece.kind == "name" else self._text(text, piece.path)
        return piece.raw if kept == text else quote_like(kept, piece.raw)

    def _member(self, name: str, path: tuple[str, ...]) -> str:
        if self._name(name) is None or any(map(means_prompt, path)):
            return self._placeholder(name, "name")
        return self._secretless(name) if name not in _IDS else name

    def _text(self, text: str, path: tuple[str, ...]) -> str:
        name = path[-1] if path else ""
        if not text:
            return text
        if any(map(means_prompt, path)):
            return self._placeholder(text, "prompt")
        if name in _IDS and len(text) <= _LONGEST_ID:
            return self._id(text)
        if name == "object" and text in _KINDS:
            return text
        if name in _MESSAGES:
            return self._without_ids(self._secretless(self._message(text)))
        if self._salt and name in _ACCOUNTS:
            return self._hashed(text, "account")
        kept = self._other(text)
        return kept if name in _NEVER_IDS else self._without_ids(kept)

    def _without_ids(self, text: str) -> str:
        return _ANY_ID.sub(lambda found: self._id(found[0]), text) if self._salt else text

    def _other(self, text: str) -> str:
        if _MEDIA.fullmatch(text):
            return f"[media: {len(text)} characters]"
        if _URL.match(text):
            return self._url(text)
        kept = self._secretless(text)
        return kept if self._value(kept) == kept else self._placeholder(text, "text")

    def _url(self, text: str) -> str:
        """Scheme and host, and a placeholder for the rest: paths are ids of files, queries are signatures."""
        try:
            parts = urlsplit(text)
            host = self.host(self._value(parts.hostname or ""))
        except ValueError:
            return self._placeholder(text, "text")
        return self._secretless(
            urlunsplit((parts.scheme, host, "/" + self._placeholder(text, "file"), "", ""))
        )

    def _id(self, text: str) -> str:
        text = self._secretless(text)
        if not self._is_link(text):
            return self._placeholder(text, "id")
        if self._salt is None:
            return text
        native, colon, owner = text.rpartition(":")
        if not colon:
            return self._hashed(text, "id")
        return f"{self._hashed(native_id(text) or unquote(native), 'id')}:{owner}"

    def _hashed(self, text: str, kind: str) -> str:
        assert self._salt is not None
        return f"{kind}-{blake2b(text.encode('utf-8', 'replace'), key=self._salt, digest_size=8).hexdigest()}"

    def _placeholder(self, text: str, kind: str) -> str:
        return self._placeholders.setdefault(f"{kind} {text}", f"{kind}-{len(self._placeholders) + 1:05d}")

    def _secretless(self, text: str) -> str:
        return _CREDENTIALS.sub("****", self._redact(text))

    def _path(self, path: str) -> str:
        begin, found, job = path.partition("/v1/videos/")
        return f"{begin}{found}{quote(self._id(unquote(job)), safe='')}" if found else path

    def _parameter(self, name: str, value: str) -> str:
        return self._id(value) if name == "after" else self._secretless(value)

    def _header(self, name: str, value: str) -> str:
        if name.startswith("x-bifrost-"):
            value = self._hashed(value, "account") if self._salt else self._value(value)
        return self._secretless(value)


def _is_json(body: bytes) -> bool:
    found = _BEGINNING.match(body)
    return found is not None and found[1] in _JSON


def _find_prompts(body: bytes) -> Iterable[str]:
    for piece in cut_pieces(body):
        if piece.kind == "text" and any(map(means_prompt, piece.path)):
            text = text_of(piece.raw)
            yield text
            yield text.strip()
