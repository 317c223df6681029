"""Where prompts are not stored, nothing that could be one is: only figures, words without spaces, and error
messages that quote no prompt pass. Ids, which are keys and cursors, stay as sent.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, Literal
from urllib.parse import quote, unquote_plus

from etl.log import EchoMask
from etl.records import OPEN_STATUSES, SETTLED_STATUSES, Reject
from etl.transform.json_values import MAX_ID, json_text
from etl.transform.parsers import STATUS_ALIASES

#: A shorter prompt is a syllable: cutting it out of every other text would only ruin them.
_SHORTEST = 4
#: From this length on a prompt is found inside a word; so many of its letters in a message quote it.
_LONG = 8
_QUOTED = 12
MARK, WITHHELD = "[prompt]", "[withheld]"

#: A word of a gateway's own: a name, a code, an id. Digests may be longer.
_LONGEST_WORD = 48
_WORD = re.compile(r"[A-Za-z0-9_.:/@+-]{1,48}|[0-9a-f]{49,128}", re.ASCII)
_FIGURE = re.compile(r"[\d\s.:,+\-TZxX×eE%]{1,40}(s|secs?|seconds?)?", re.ASCII | re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_$][\w.$-]{0,63}", re.ASCII)
#: From the first quotation mark to the last one, or to the end: quotations hold quotation marks.
_QUOTATION = re.compile(r"(?<!\w)[\"'`“‘«]((?s:.){17,}[\"'`”’»](?!\w)|(?s:.){17,}$)")
#: "prompt": "…, or prompt '…: what follows is one.
_NAMED = re.compile(r"prompt[\"'`“‘\\]*+\s*+(?:[:=]\s*+)?[\"'`“‘\\]++(?!\[prompt\])", re.IGNORECASE)
_MEANS_PROMPT = frozenset({"input", "text", "caption", "description", "instruction", "instructions", "query"})
_STATUSES = SETTLED_STATUSES | OPEN_STATUSES | STATUS_ALIASES.keys()
#: What `quote` makes of each byte; a table takes a tenth of its time.
_IN_URLS = {byte: quote(bytes([byte])) for byte in range(256)}
_LINK = re.compile(r"\S{1,512}")
_PLAIN = frozenset({"id", "object", "status"})
_CONTRACT = _PLAIN | {
    "provider",
    "model",
    "progress",
    "prompt",
    "remixed_from_video_id",
    "seconds",
    "size",
    "error",
}
_CONTRACT |= {"created_at", "completed_at", "expires_at", "code", "message", "type", "param"}
#: Keys, links between jobs, and what decides how a job stands.
_KEPT = _PLAIN | {"remixed_from_video_id"}
_DROPPED = frozenset({"videos", "extra_fields"})

NOTHING_TO_MASK = EchoMask(())


@dataclass(frozen=True, slots=True)
class Options:
    """What a source's configuration decides about its rows.

    `prompts`: as text, as sha256, or not at all. `raw_payloads` are stored only beside full prompts.
    `mask` hides the source's own credentials where the gateway echoes them.
    """

    prompts: Literal["store", "hash", "drop"] = "store"
    raw_payloads: Literal["drop", "store"] = "drop"
    mask: EchoMask = NOTHING_TO_MASK

    @property
    def keeps_raw(self) -> bool:
        return self.raw_payloads == "store" and self.prompts == "store"


def stored_prompt(prompt: Any, options: Options) -> str | None:
    """A prompt as its column shows it."""
    if not prompt:
        return None
    return prompt_fingerprint(prompt if isinstance(prompt, str) else json_text(prompt), options)


def prompt_fingerprint(text: str, options: Options) -> str | None:
    if options.prompts == "drop":
        return None
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


class Scrubber:
    """Takes prompts out of everything else that a job or a page says."""

    def __init__(self, prompts: Iterable[str], options: Options) -> None:
        self._options = options
        self._prompts = [text for text in dict.fromkeys(prompts) if len(text) >= _SHORTEST]

    @cached_property
    def _forms(self) -> list[str]:
        found = {form for text in self._prompts for form in _forms_of_prompt(text)}
        return sorted(found, key=lambda form: (-len(form), form))

    @cached_property
    def _words(self) -> list[str]:
        """The forms that could pass for a word: no form is shorter than its text."""
        short = (t for t in self._prompts if len(t) <= _LONGEST_WORD or _WORD.fullmatch(t))
        return [form.casefold() for text in short for form in _forms_of_prompt(text) if _WORD.fullmatch(form)]

    def job(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job as it may be stored; the row is made of it as of any other."""
        kept = {n: v for n, v in job.items() if n in _KEPT and self._stays_as_is(n, v)}
        rest = {n: v for n, v in job.items() if n not in kept and n not in _DROPPED}
        if "prompt" in rest:
            kept["prompt"] = stored_prompt(rest.pop("prompt"), self._options)
        error = rest.pop("error", None)
        if isinstance(error, str):
            kept["error"] = self.message(error)
        elif isinstance(error, dict):
            kept["error"] = self._scrub_error(error)
        elif error is not None:
            kept["error"] = self.value(error)
        return kept | self.members(rest)

    def message(self, text: str) -> str:
        """An error's text, if it quotes no prompt."""
        if not text:
            return text  # as nearly every job shows it
        for form in self._forms:
            text = text.replace(form, MARK)
        if _NAMED.search(text) or any(_quotes_prompt(text, prompt) for prompt in self._prompts):
            return WITHHELD
        return _QUOTATION.sub(f'"{WITHHELD}"', text)

    def is_quoted(self, text: str) -> bool:
        """Whether a text holds one of the prompts, or a stretch of one, in whatever form."""
        forms = any(form in text for form in self._forms if len(form) >= _LONG)
        return forms or any(_quotes_prompt(text, prompt) for prompt in self._prompts)

    def value(self, value: Any) -> Any:
        """A copy in which a text is a figure, a word, or withheld."""
        if isinstance(value, str):
            return self._scrub_word(value)
        if isinstance(value, list):
            return [self.value(child) for child in value]
        return self.members(value) if isinstance(value, dict) else value

    def name(self, name: str) -> str | None:
        """The name of a member; None for one that could be a prompt."""
        return name if _NAME.fullmatch(name) and self._scrub_word(name) == name else None

    def is_link(self, value: str) -> bool:
        """Whether this could be the id of a job, and holds no prompt."""
        folded = value.casefold()
        return bool(_LINK.fullmatch(value)) and not any(form.casefold() in folded for form in self._forms)

    def _stays_as_is(self, name: str, value: Any) -> bool:
        """Whether the value of such a member is what its name says."""
        if name == "id":
            return isinstance(value, int) or (isinstance(value, str) and len(value) <= MAX_ID)
        if not isinstance(value, str):
            return False
        if name == "remixed_from_video_id":
            return self.is_link(value)
        return (
            value == "video" if name == "object" else name == "status" and value.strip().lower() in _STATUSES
        )

    def _scrub_word(self, text: str) -> str:
        if not text or _FIGURE.fullmatch(text):
            return text
        folded = text.casefold()
        if not _WORD.fullmatch(text) or any(
            w in folded if len(w) >= _LONG else w == folded for w in self._words
        ):
            return WITHHELD
        return text

    def _scrub_error(self, error: dict[str, Any]) -> dict[str, Any]:
        message = error.get("message")
        if not isinstance(message, str):
            return self.members(error)
        others = {name: value for name, value in error.items() if name != "message"}
        return {"message": self.message(message), **self.members(others)}

    def members(self, members: dict[str, Any]) -> dict[str, Any]:
        """A copy of an object in which every member is safe."""
        kept: dict[str, Any] = {}
        for number, (name, child) in enumerate(members.items(), start=1):
            shown = self.name(name) or f"[name {number}]"
            if not means_prompt(name) or isinstance(child, int | float | None):
                kept[shown] = self.value(child)
            elif self._options.prompts == "hash":
                kept[shown] = stored_prompt(child, self._options)
        return kept


def scrub_job(job: Any, options: Options) -> Any:
    """The job without prompts, where they are not stored."""
    if options.prompts == "store" or type(job) is not dict:
        return job
    return Scrubber(find_prompts(job), options).job(job)


def scrub_message(text: str, prompts: Literal["store", "hash", "drop"]) -> str:
    """What a gateway says in an error, if it may hold a prompt that is not to be stored."""
    return text if prompts == "store" else Scrubber((), Options(prompts)).message(text)


def find_prompts(value: Any, inside: bool = False) -> Iterator[str]:
    """Every text of a decoded value that its member's name calls a prompt."""
    if isinstance(value, str) and inside:
        yield value
        yield value.strip()
    elif isinstance(value, dict):
        for name, child in value.items():
            named = inside or means_prompt(name)
            if named or isinstance(child, dict | list):
                yield from find_prompts(child, named)
    elif isinstance(value, list):
        for child in value:
            yield from find_prompts(child, inside)


def safe_reject(reject: Reject, value: Any, options: Options) -> Reject:
    """The reject, its bytes without the prompt; without any when nobody can tell where a prompt stands."""
    if options.prompts == "store" or reject.payload is None:
        return reject
    try:
        if isinstance(value, dict):
            payload = json_text(_bare_value(scrub_job(value, options))).encode()
            return Reject(reject.reason, payload, reject.position, reject.job_id)
    except (RecursionError, ValueError):
        pass  # nested beyond reading, or text that cannot be encoded: withheld like all that is no object
    digest = hashlib.sha256(reject.payload).hexdigest()
    withheld = f"{len(reject.payload)} bytes withheld, they may hold a prompt, sha256 {digest}"
    return Reject(f"{reject.reason} ({withheld})", None, reject.position, reject.job_id)


def _bare_value(value: Any, name: str = "") -> Any:
    """What is no job has no prompt that could be known: only the contract's names and figures are left."""
    if isinstance(value, dict):
        members = enumerate(value.items(), start=1)
        return {(n if n in _CONTRACT else f"[name {i}]"): _bare_value(child, n) for i, (n, child) in members}
    if isinstance(value, list):
        return [_bare_value(child) for child in value]
    safe = not isinstance(value, str) or name in _PLAIN or _FIGURE.fullmatch(value)
    return value if safe or value.startswith(("sha256:", MARK)) else WITHHELD


def means_prompt(name: str) -> bool:
    """Whether what a member of this name holds is taken for a prompt."""
    folded = name.casefold()
    return "prompt" in folded or folded in _MEANS_PROMPT


def _forms_of_prompt(text: str) -> set[str]:
    """How a prompt may be written: as it is, in JSON that is itself a string, in a URL, in base64."""
    raw = text.encode("utf-8", "replace")
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    escaped = {encode_basestring_ascii(text)[1:-1], encode_basestring(text)[1:-1]}
    quoted = raw.decode("latin-1").translate(_IN_URLS)
    in_urls = {quoted, quoted.replace("/", "%2F"), quoted.replace("/", "%2F").replace("%20", "+")}
    return {text} | escaped | in_urls | encoded | {form.rstrip("=") for form in encoded}


def _quotes_prompt(message: str, prompt: str) -> bool:
    """Whether a message holds a stretch of the prompt, be it cut, in other letters or escaped for a URL."""
    wanted, said = _letters_only(prompt), _letters_only(unquote_plus(message))
    if len(wanted) < _QUOTED:
        return len(wanted) >= _LONG and wanted in said
    stretches = {said[at : at + _QUOTED] for at in range(len(said) - _QUOTED + 1)}
    return any(wanted[at : at + _QUOTED] in stretches for at in range(len(wanted) - _QUOTED + 1))


def _letters_only(text: str) -> str:
    return re.sub(r"\W+", "", text.casefold())
