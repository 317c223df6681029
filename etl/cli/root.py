"""The command tree: global options, and every command by name, imported when it is used.

To add a command: write `etl/cli/NAME.py` with a function (or a Typer app) called `command`, and a line below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from etl.cli.settings import CommandSettings, ConfigFile
from etl.version import __version__

#: Heading → command → its line in `--help`. `etl.cli.NAME.command` does the work.
COMMANDS: dict[str, dict[str, str]] = {
    "Start": {
        "demo": "See it work, in a minute: a simulated gateway, or your own.",
        "init": "Write a commented configuration file.",
        "check": "Test configuration, database and gateway, and say what to do.",
    },
    "Work": {
        "sync": "Bring sources up to date, once.",
        "reconcile": "Compare everything listed with everything stored.",
        "run": "The service: schedules, health, metrics.",
        "notify": "Send a test message to everybody who is told of failures.",
    },
    "Look": {
        "status": "How fresh and how complete each source is.",
        "gaps": "What is listed and not stored: where, why, since when.",
        "history": "One job's life, change by change.",
        "report": "What was made, what failed, how long it took, what it cost.",
        "dashboard": "The same and more in a browser: jobs, failures, runs, what is open.",
        "prices": "The price book: list it, add to it, find what it lacks.",
        "sql": "Ask the database in SQL, read-only.",
    },
    "Deliver": {
        "feed": "Deliver every change to warehouses and lakes.",
        "export": "Write the mirror as Parquet, CSV or JSON lines.",
    },
    "Maintain": {
        "source": "Retire a source whose upstream is gone, or ask it again.",
        "erase": "Remove a person's prompts; keep the jobs and what they cost.",
        "prune": "Remove what is older than the configured retention.",
        "db": "Create, upgrade and inspect the database's tables.",
        "record": "Save a gateway's answers, without secrets and prompts, to replay them.",
        "simulate": "Run a simulated gateway, for trying and testing.",
    },
}
_PLAIN: dict[str, Any] = {"add_completion": False, "rich_markup_mode": None}


class _Commands(Mapping[str, Any]):
    """Command objects by name, made when asked for."""

    def __getitem__(self, name: str) -> Any:
        if not any(name in group for group in COMMANDS.values()):
            raise KeyError(name)
        return _build_command(import_module(f"etl.cli.{name}").command)

    def __iter__(self) -> Iterator[str]:
        return (name for group in COMMANDS.values() for name in group)

    def __len__(self) -> int:
        return sum(map(len, COMMANDS.values()))


class _Lazy(TyperGroup):
    """A group that imports a command only to run it or to show its own help."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Who types the name of a report as a command hears where it is."""
        if args and args[0] not in self.commands and (report := _report_meant(args[0], self.commands)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean 'report {report}'?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for heading, group in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl(list(group.items()), col_max=12)


def _report_meant(typed: str, commands: Mapping[str, Any]) -> str | None:
    """The report of this name, or of one near it where no command is nearer."""
    from difflib import get_close_matches

    from etl.cli.report import report_names

    names = report_names()
    near = get_close_matches(typed, [*commands, *names], 1)
    return near[0] if near and near[0] in names and near[0] not in commands else None


def _build_command(target: Any) -> Any:
    """A Typer app as it is; a function as an app of one command."""
    if not isinstance(target, typer.Typer):
        single = typer.Typer(**_PLAIN)
        single.command()(target)
        target = single
    return typer.main.get_command(target)


def command() -> Callable[..., Any]:
    """The command; takes a list of arguments, `prog_name` and `obj=Settings`, and ends in SystemExit."""
    app = typer.Typer(cls=_Lazy, rich_markup_mode=None, no_args_is_help=True, epilog=_EPILOG)
    app.callback()(_root_options)
    return typer.main.get_command(app).main


_EPILOG = (
    "Without a configuration file, BIFROST_BASE_URL, BIFROST_API_KEY, BIFROST_PROVIDER and DATABASE_URL "
    "are enough. "
    "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 some sources failed and others "
    "did not, or a part of a list is not read."
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"bifrost-etl {__version__}")
        raise typer.Exit


def _root_options(
    ctx: typer.Context,
    config: ConfigFile = None,
    log_level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="debug, info, warning or error; logs go to standard error."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Mirror a Bifrost gateway's video-job history into SQL: fresh, complete, dated, never lost."""
    settings = ctx.ensure_object(CommandSettings)
    settings.choose(config, log_level)
