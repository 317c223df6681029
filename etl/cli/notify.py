"""`bifrost-etl notify test`: do messages arrive?"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import typer

from etl.cli.errors import FAILED
from etl.cli.output import BAD, GOOD, print_line, say_json
from etl.cli.settings import CommandSettings, ConfigFile, Json
from etl.errors import ConfigError

if TYPE_CHECKING:
    from etl.config import Notify

command = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@command.callback()
def group() -> None:
    """Messages about failures, staleness and recoveries: `notify` in the configuration says to whom."""


@command.command()
def test(ctx: typer.Context, config: ConfigFile = None, json: Json = False) -> None:
    """Send a test message to every notify URL. Exits 1 when one of them does not take it.

    URLs hold secrets, so each is called by its number and its scheme.

    --json prints {"ok", "urls": [{number, scheme, sent, error}]}.
    """
    settings = ctx.ensure_object(CommandSettings)
    loaded = settings.load(config)
    settings.start_logging(loaded)
    if not loaded.notify.urls:
        raise ConfigError("no notify.urls are configured", hint="see notify in docs/configuration.md")
    answers = [
        _try_message(loaded.notify, number, settings) for number in range(1, len(loaded.notify.urls) + 1)
    ]
    if json:
        say_json({"ok": all(answer["sent"] for answer in answers), "urls": answers})
    else:
        for answer in answers:
            _show_answer(answer)
    raise typer.Exit(0 if all(answer["sent"] for answer in answers) else FAILED)


def _try_message(notify: Notify, number: int, settings: CommandSettings) -> dict[str, Any]:
    from etl.scheduler.notify import apprise_sender, trial_message

    scheme = notify.urls[number - 1].reveal().partition(":")[0]
    answer: dict[str, Any] = {"number": number, "scheme": scheme, "sent": False, "error": None}
    send = apprise_sender(notify, number)
    try:
        answer["sent"] = send(trial_message(socket.gethostname()))
    except Exception as error:  # noqa: BLE001 (Apprise's plugins raise what they like)
        answer["error"] = settings.redact(f"{type(error).__name__}: {error}")
    if not answer["sent"] and answer["error"] is None:
        answer["error"] = "the service did not take it; --log-level warning shows its answer"
    return answer


def _show_answer(answer: dict[str, Any]) -> None:
    name = f"URL {answer['number']} ({answer['scheme']}://…)"
    if answer["sent"]:
        print_line(f"✓ {name}: sent", GOOD)
    else:
        print_line(f"✗ {name}: {answer['error']}", BAD)
