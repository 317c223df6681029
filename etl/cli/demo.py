"""`bifrost-etl demo`: a first load, a few ticks, and what is then in the database."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.output import DIM, GOOD, number, on_terminal, say, table
from etl.cli.settings import ConfigFile, Settings

if TYPE_CHECKING:
    from etl.app import App
    from etl.records import RunResult

#: The simulated world: jobs at the start, ticks, simulated seconds from one tick to the next.
JOBS, TICKS, STEP = 5000, 5, 600
#: Real seconds between two ticks: against a real gateway, and on a terminal so that an eye can follow.
REAL_PAUSE, SHOW_PAUSE = 5.0, 0.4
_ROW = "  {:<6} {:>9} {:>7} {:>9} {:>7}"


def command(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where the demo keeps its database.")] = Path(
        "demo"
    ),
    config: ConfigFile = None,
) -> None:
    """See it work, in a minute: first load, a few ticks, and what is then in the database.

    Starts a simulated gateway on this machine and mirrors it into a SQLite file. With --config,
    BIFROST_ETL_CONFIG or BIFROST_BASE_URL it does the same with your gateway and your database.
    """
    settings = ctx.ensure_object(Settings)
    settings.choose(config)

    from etl.cli.stopping import stop_on_signals

    with stop_on_signals() as stop:
        raise typer.Exit(
            _real(settings, stop) if _has_gateway(settings) else _simulated(settings, folder, stop)
        )


def _has_gateway(settings: Settings) -> bool:
    named = ("BIFROST_ETL_CONFIG", "BIFROST_BASE_URL", "BIFROST_BASE_URL_FILE")
    return settings.config_file is not None or any(settings.environ.get(name) for name in named)


def _simulated(settings: Settings, folder: Path, stop: Event) -> int:
    from etl.cli import demo_world

    path, database = demo_world.prepare(folder)
    with demo_world.simulator(JOBS, time.time() - TICKS * STEP) as base_url:
        demo_world.write_config(path, database, base_url)
        _heading(f"A simulated gateway answers at {base_url}, with {JOBS:,} jobs")

        def before_tick() -> None:
            demo_world.advance(base_url, STEP)
            stop.wait(SHOW_PAUSE if on_terminal() else 0)

        code = _show(
            settings, path, stop, before_tick, f"10 simulated minutes between ticks, {TICKS} ticks", JOBS
        )
    if code == 0:
        _next_steps(path, database)
    return code


def _real(settings: Settings, stop: Event) -> int:
    _heading("Your gateway, your database")

    def pause() -> None:
        stop.wait(REAL_PAUSE)

    pace = f"{REAL_PAUSE:g} seconds between ticks, {TICKS} ticks"
    return _show(settings, None, stop, pause, pace, None)


def _show(
    settings: Settings,
    path: Path | None,
    stop: Event,
    before_tick: Callable[[], None],
    pace: str,
    expected: int | None,
) -> int:
    """The story, the same for both; 0, or the exit code of the run that ended it."""
    from etl.app import App
    from etl.cli import results
    from etl.cli.progress import watching

    loaded = settings.load(path)
    loaded.choose()
    settings.start_logging(loaded)
    with App(loaded) as app:
        say(f"  database: {loaded.database.url}", DIM)
        _heading("First load: the whole history, over HTTP")
        with watching(settings.redact, expected=expected, keep=True) as progress:
            first = app.sync(progress=progress, stop=stop)
        code = results.show(first, settings.redact, as_json=False)
        _heading(f"Then only what is new or unfinished: {pace}")
        say(_ROW.format("tick", "requests", "new", "changed", "open"), DIM)
        for tick in range(1, TICKS + 1):
            if code or stop.is_set():
                return code or results.exit_code(first)
            before_tick()
            ended = app.sync(stop=stop)
            code = _tick(app, tick, ended, settings)
        _summary(app)
    return code


def _tick(app: App, tick: int, ended: list[RunResult], settings: Settings) -> int:
    from datetime import UTC, datetime

    from etl.analytics.status import read_status
    from etl.cli import results

    code = results.exit_code(ended)
    if code:
        results.show(ended, settings.redact, as_json=False)
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
    say(_ROW.format(tick, *map(number, cells)))
    return 0


def _summary(app: App) -> None:
    from etl.analytics.history import read_history
    from etl.analytics.overview import count_by_model, liveliest_job
    from etl.cli.history import show

    job_id = liveliest_job(app.engine)
    if job_id is None:
        say("the gateway lists no jobs yet", DIM)
        return
    _heading("One job's life, as it was seen")
    show(read_history(app.engine, job_id)[0])
    _heading("What is in the database now")
    rows = [
        [c.model or "-", c.status, number(c.jobs), number(round(c.seconds))]
        for c in count_by_model(app.engine)
    ]
    table(("MODEL", "STATUS", "JOBS", "SECONDS"), rows, right=(2, 3))


def _next_steps(config: Path, database: Path) -> None:
    _heading("Ask it yourself")
    sql = "SELECT status, count(*) FROM video_jobs GROUP BY status"
    say(f'  sqlite3 {database} "{sql}"')
    python = f"import sqlite3; print(*sqlite3.connect('{database}').execute('{sql}'), sep='\\n')"
    say(f'  python3 -c "{python}"')
    say(f"  bifrost-etl --config {config} status")
    say()
    say("  With your gateway:  bifrost-etl init && bifrost-etl check && bifrost-etl sync", GOOD)


def _heading(text: str) -> None:
    say()
    say(text, "bold")
    sys.stdout.flush()
