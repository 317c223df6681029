"""What every page stands on: the database opened to read, the templates, the headers."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from etl import __version__
from etl.analytics.browsing import exists, reading_engine
from etl.analytics.queries import Engine
from etl.web.dashboard_cells import job_url, money, short, short_time, span
from etl.web.state import State

#: Seconds that one question of a page may take.
PATIENCE = 20.0
_HERE = Path(__file__).parent
STATIC = _HERE / "static"
#: Nothing but our own files: no inline script, no inline style, no other origin, no frame around us.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class NothingYet(Exception):
    """The database is not there, or has none of our tables."""


class Desk:
    """One per application. The engine follows the configuration when the service reloads it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: tuple[str, Engine] | None = None
        self._pages = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._pages.globals |= {"version": __version__, "mark": _mark(), "job_url": job_url}
        self._pages.filters |= {"span": span, "money": money, "short": short, "short_time": short_time}

    def engine(self, state: State) -> Engine:
        """Raises NothingYet, StorageError."""
        url = state.app().config.database.reveal()
        with self._lock:
            if self._open is None or self._open[0] != url:
                if self._open is not None:
                    self._open[1].dispose()
                self._open = url, reading_engine(url, PATIENCE)
            engine = self._open[1]
        if not exists(engine):
            raise NothingYet
        return engine

    def page(self, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
        return HTMLResponse(self._pages.get_template(template).render(values), status, headers=HEADERS)


def state_of(request: Request) -> State:
    state: State = request.app.state.service
    return state


def _mark() -> str:
    """Changes when a static file does, so that browsers may keep them."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
