"""`bifrost-etl record`: a gateway's answers as a file that `simulate --replay` serves."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from etl.cli.completion import complete_source
from etl.cli.output import print_line
from etl.cli.settings import CommandSettings, ConfigFile
from etl.errors import ConfigError, GatewayError
from etl.version import __version__
from etl.words import count_noun

if TYPE_CHECKING:
    from etl.config import Config, Source
    from etl.recording.scrub import Cleaner


_ASKED_WITH = ("profile", "provider", "page_size", "order", "window", "passthrough")


def command(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="File of JSON lines to write; an older one is replaced once everything is there.",
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Source to record, if there are several.", autocompletion=complete_source
        ),
    ] = None,
    pages: Annotated[int, typer.Option(min=1, max=1000, help="Pages to read from each end of the list.")] = 5,
    job: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Also read this job by id; can be repeated.")
    ] = None,
    after: Annotated[
        list[str] | None,
        typer.Option(metavar="CURSOR", help="Also read the pages behind this cursor; can be repeated."),
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Hash the host, the names of accounts and the ids of jobs.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Save a gateway's answers, for a report of a fault or a test: `simulate --replay FILE` serves them.

    Only asks (GET), and writes nothing but FILE: health, pages from both ends, single jobs, a cursor that is
    not there, the provider's own list where the gateway passes it through. A list that fits into --pages is
    also synced and reconciled once, in a scratch database. Secrets, prompts, addresses of media and their
    signatures are replaced by placeholders, the same text by the same one; ids stay, unless --anonymous.
    Read the file before you give it to others.
    """
    settings = ctx.ensure_object(CommandSettings)
    loaded = settings.load(config)
    settings.start_logging(loaded, "critical")  # a question that is refused is an answer worth recording
    chosen = _choose_source(loaded, source)

    from etl.config.secret import is_unmistakable
    from etl.recording.file import write_recording
    from etl.recording.questions import Recorder
    from etl.recording.scrub import Cleaner

    recorder = Recorder(loaded, chosen, pages=pages, jobs=job or (), cursors=after or ())
    recorder.record()
    exchanges = recorder.tape.exchanges
    for failure in dict.fromkeys(recorder.failures):
        print(settings.redact(f"not answered as hoped: {failure}"), file=sys.stderr)
    if not exchanges:
        raise GatewayError(f"source {chosen.name}: nothing was answered, so there is nothing to record")
    cleaner = Cleaner(
        exchanges,
        secrets_known=[*settings.known_secrets(), *recorder.secrets],
        credentials=filter(is_unmistakable, recorder.secrets),
        anonymous=anonymous,
    )
    head = _recording_head(chosen, cleaner, anonymous=anonymous)
    write_recording(file, head, map(cleaner.exchange, exchanges))
    asked = count_noun(recorder.tape.asked, "request")
    print_line(
        f"{file}: {count_noun(len(exchanges), 'answer')} to {asked}; read it before you give it to others"
    )


def _choose_source(config: Config, name: str | None) -> Source:
    chosen = config.choose([name] if name else ())
    if len(chosen) != 1:
        names = ", ".join(source.name for source in chosen)
        said = f"a recording is of one source, and there are {len(chosen)}: {names}"
        raise ConfigError(said, hint="add --source NAME")
    return chosen[0]


def _recording_head(source: Source, cleaner: Cleaner, *, anonymous: bool) -> dict[str, Any]:
    """The settings that decide what is asked: whoever replays asks with the same ones."""
    from etl.extract.http import header_names

    return {
        "recorded_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "recorded_by": f"bifrost-etl {__version__}",
        "host": cleaner.host(urlsplit(source.base_url).hostname or ""),
        "anonymous": anonymous,
        "source": {name: getattr(source, name) for name in _ASKED_WITH},
        "request_headers": header_names(source),
    }
