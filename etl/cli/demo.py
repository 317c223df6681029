"""`bifrost-etl demo`: a first load, a few ticks, and what is then in the database."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from etl.cli.errors import INTERRUPTED, exit_code
from etl.cli.output import DIM, GOOD, on_terminal, print_line, program_name, show_number
from etl.cli.settings import CommandSettings, ConfigFile

if TYPE_CHECKING:
    from etl.app import App
    from etl.config import Config
    from etl.records import RunResult

#: The simulated world: jobs at the start, ticks, simulated seconds from one tick to the next.
JOBS, TICKS, STEP = 5000, 5, 120
#: Seconds between two ticks, if --pause does not say: a real gateway's jobs take their time, and on a
#: terminal an eye wants to follow.
REAL_PAUSE, SHOW_PAUSE = 5.0, 0.4
_ROW = "  {:<6} {:>9} {:>7} {:>9} {:>7}"


@dataclass(frozen=True)
class Scene:
    """Where the story plays: how fast, what happens before each tick, whose time it is, how many jobs."""

    pace: str
    before_tick: Callable[[], object]
    clock: Callable[[], datetime]
    jobs: int | None = None


def command(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where the demo keeps its database.")] = Path(
        "demo"
    ),
    pause: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="Real time between two ticks.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Then go on as a service, with the dashboard, until Ctrl-C.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """See it work, in a minute: first load, a few ticks, and what is then in the database.

    Starts a simulated gateway on this machine and mirrors it into a SQLite file. With --config,
    BIFROST_ETL_CONFIG or BIFROST_BASE_URL it does the same with your gateway and your database.

    --serve leaves it alive: jobs are made and finish, syncs follow them, and the dashboard shows it. On a
    terminal it opens a browser.
    """
    settings = ctx.ensure_object(CommandSettings)
    settings.choose(config)

    from etl.cli.signals import stop_on_signals

    with stop_on_signals() as stop:
        if _has_gateway(settings):
            code = _play_real(settings, stop, REAL_PAUSE if pause is None else pause)
            if code == 0 and serve:
                _go_on(settings, settings.load())
        else:
            shown = SHOW_PAUSE if on_terminal() else 0.0
            code = _play_simulated(settings, folder, stop, shown if pause is None else pause, serve=serve)
    raise typer.Exit(code)


def _has_gateway(settings: CommandSettings) -> bool:
    named = ("BIFROST_ETL_CONFIG", "BIFROST_BASE_URL", "BIFROST_BASE_URL_FILE")
    return settings.config_file is not None or any(settings.environ.get(name) for name in named)


def _play_simulated(
    settings: CommandSettings, folder: Path, stop: Event, pause: float, *, serve: bool
) -> int:
    from etl.cli import demo_world

    path, database = demo_world.prepare_folder(folder)
    behind = [timedelta(seconds=TICKS * STEP)]  # the story ends in the present
    with demo_world.run_simulator(JOBS, time.time() - TICKS * STEP) as base_url:
        demo_world.write_config(path, database, base_url)
        _print_heading(f"A simulated gateway answers at {base_url}, with {JOBS:,} jobs")

        def before_tick() -> None:
            stop.wait(pause)
            demo_world.advance_clock(base_url, STEP)
            behind[0] -= timedelta(seconds=STEP)

        def clock() -> datetime:
            return datetime.now(UTC) - behind[0]

        scene = Scene(f"{STEP // 60} simulated minutes between ticks", before_tick, clock, JOBS)
        code = _play_story(settings, settings.load(path), scene, stop)
        if code == 0:
            _next_steps(path, database)
            if serve:
                _go_on(settings, settings.load(path))
    return code


def _go_on(settings: CommandSettings, config: Config) -> NoReturn:
    """The service on the same configuration; the simulated gateway ends when this process does."""
    from etl.cli.run import run_service

    def show(address: str) -> None:
        _print_heading(f"It goes on: {address}")
        print_line("  Ctrl-C stops it", DIM)
        sys.stdout.flush()
        if on_terminal():
            import webbrowser

            webbrowser.open(address)

    settings.start_logging(config, config.service.log_level)
    run_service(config, settings, opened=show)


def _play_real(settings: CommandSettings, stop: Event, pause: float) -> int:
    _print_heading("Your gateway, your database")

    def before_tick() -> None:
        stop.wait(pause)

    scene = Scene(f"{pause:g} seconds between ticks", before_tick, lambda: datetime.now(UTC))
    return _play_story(settings, settings.load(), scene, stop)


def _play_story(settings: CommandSettings, config: Config, scene: Scene, stop: Event) -> int:
    """The story, the same for both; 0, or the exit code of the run that ended it."""
    from etl.app import App

    config.choose()
    settings.start_logging(config)
    print_line(f"  database: {config.database.url}", DIM)
    with App(config, clock=scene.clock) as app:
        code = _first_load(app, settings, scene, stop) or _run_ticks(app, settings, scene, stop)
        if code == 0:
            _print_summary(app)
    return code


def _first_load(app: App, settings: CommandSettings, scene: Scene, stop: Event) -> int:
    from etl.cli import results
    from etl.cli.progress import show_progress

    _print_heading("First load: the whole history, over HTTP")
    with show_progress(settings.redact, expected=scene.jobs, keep=True) as progress:
        ended = app.sync(progress=progress, stop=stop)
    return results.show_results(ended, settings.redact, as_json=False)


def _run_ticks(app: App, settings: CommandSettings, scene: Scene, stop: Event) -> int:
    _print_heading(f"Then only what is new or unfinished: {scene.pace}")
    print_line(_ROW.format("tick", "requests", "new", "changed", "open"), DIM)
    for tick in range(1, TICKS + 1):
        scene.before_tick()
        if stop.is_set():
            return INTERRUPTED
        code = _run_tick(app, tick, app.sync(stop=stop), settings)
        if code:
            return code
    return 0


def _run_tick(app: App, tick: int, ended: list[RunResult], settings: CommandSettings) -> int:
    from etl.analytics.status import read_status
    from etl.cli import results

    code = exit_code(ended)
    if code:
        results.show_results(ended, settings.redact, as_json=False)
        return code
    names = {result.source for result in ended}
    waiting = sum(s.open_jobs for s in read_status(app.engine, datetime.now(UTC)) if s.source in names)
    counts = [result.counts for result in ended]
    cells = (
        sum(c.requests for c in counts),
        sum(c.jobs_inserted for c in counts),
        sum(c.jobs_updated for c in counts),
        waiting,
    )
    print_line(_ROW.format(tick, *map(show_number, cells)))
    return 0


def _print_summary(app: App) -> None:
    from etl.analytics.filters import Filter
    from etl.analytics.history import liveliest_job, read_history
    from etl.analytics.queries import run_report
    from etl.cli.history import show_history
    from etl.cli.tables import show_table

    job_id = liveliest_job(app.engine)
    if job_id is None:
        print_line("the gateway lists no jobs yet", DIM)
        return
    _print_heading("One job's life, as it was seen")
    show_history(read_history(app.engine, job_id)[0])
    _print_heading("What is in the database now")
    show_table(run_report(app.engine, "models", Filter(datetime.now(UTC))), "UTC")


def _next_steps(config: Path, database: Path) -> None:
    _print_heading("Ask it yourself")
    sql = "SELECT status, count(*) FROM video_jobs GROUP BY status"
    print_line(f'  sqlite3 {database} "{sql}"')
    python = f"import sqlite3; print(*sqlite3.connect('{database}').execute('{sql}'), sep='\\n')"
    print_line(f'  python3 -c "{python}"')
    us = program_name()
    print_line(f"  {us} --config {config} status")
    print_line(f"  {us} --config {config} report")
    print_line(f"  {us} --config {config} dashboard --open")
    print_line(f"  {us} demo --serve      # keeps running, with its dashboard, until Ctrl-C")
    print_line()
    print_line(f"  With your gateway:  {us} init && {us} check && {us} sync", GOOD)


def _print_heading(text: str) -> None:
    print_line()
    print_line(text, "bold")
    sys.stdout.flush()
