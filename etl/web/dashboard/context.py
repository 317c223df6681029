"""What every page stands on: the database opened to read, the templates, the headers."""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from etl.analytics import run_log
from etl.analytics.cancellation import follow_connections
from etl.analytics.connections import has_schema
from etl.analytics.filters import Filter
from etl.analytics.jobs import Choice, recent_names
from etl.analytics.read_only import reading_engine
from etl.analytics.rendering import show_value
from etl.analytics.templates import open_templates
from etl.config import Reporting
from etl.db.engine import Engine
from etl.errors import ConfigError
from etl.load.sql_values import storable_text
from etl.log import make_visible
from etl.version import __version__
from etl.web.below_path import html_outside
from etl.web.cache import AnswerCache
from etl.web.dashboard.cells import Setting
from etl.web.dashboard.filters import PageQuery
from etl.web.dashboard.formatting import clip_text, short_id, short_time, show_money, show_seconds
from etl.web.dashboard.links import job_url, tree_url
from etl.web.state import ServiceState
from etl.web.turns import PageLimiter

#: Seconds that one question of a page may take.
PATIENCE = 20.0
_HERE = Path(__file__).parent
STATIC = _HERE / "static"
STATUSES = ("completed", "failed", "in_progress", "queued")
#: Nothing but our own files: no inline script, no inline style, no other origin, no frame around us.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}


class NothingYet(Exception):
    """The database is not there, or has none of our tables."""


class Missing(Exception):
    """What the address names is not there: what, why, and what to do. `near` are ids of jobs like it."""

    near: tuple[str, ...] = ()


class Desk:
    """One per application. The engine follows the configuration when the service reloads it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: tuple[str, Engine] | None = None
        self.kept = AnswerCache()
        self.pages, self.files = PageLimiter(), PageLimiter(at_work=4, in_line=0)
        self._pages = open_templates(_HERE / "templates")
        self._pages.globals |= {
            "version": __version__,
            "mark": _static_mark(),
            "job_url": job_url,
            "tree_url": tree_url,
        }
        self._pages.filters |= {
            "span": show_seconds,
            "money": show_money,
            "short": short_id,
            "short_time": short_time,
            "clipped": clip_text,
        }

    def engine(self, state: ServiceState) -> Engine:
        """Raises NothingYet, StorageError."""
        url = state.app().config.database.reveal()
        with self._lock:
            if self._open is None or self._open[0] != url:
                if self._open is not None:
                    self._open[1].dispose()
                self._open = url, reading_engine(url, PATIENCE)
                follow_connections(self._open[1])
                weakref.finalize(self, self._open[1].dispose)  # connections are not left to the collector
                self.kept = AnswerCache()
            engine = self._open[1]
        if not has_schema(engine):
            raise NothingYet
        return engine

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        return make_visible(self._pages.get_template(template).render(values))


@dataclass(frozen=True)
class Call:
    """One request: what was asked for, and what it takes to answer."""

    desk: Desk
    request: Request
    state: ServiceState
    query: PageQuery

    @staticmethod
    def of(desk: Desk, request: Request) -> Call:
        return Call(desk, request, state_of(request), PageQuery.of(_parameters(request)))

    @cached_property
    def engine(self) -> Engine:
        return self.desk.engine(self.state)

    @property
    def reporting(self) -> Reporting:
        return self.state.app().config.reporting

    @cached_property
    def source_names(self) -> list[str]:
        return run_log.source_names(self.engine)

    def chosen(self, limit: int | None = None) -> Filter:
        return self.query.chosen(self.state.clock(), self.reporting, limit)

    def of_now(self) -> Filter:
        """All jobs, as of now: what budgets and alerts are about."""
        reporting = self.reporting
        return Filter(self.state.clock(), zone=reporting.timezone, currency=reporting.currency)

    def choice(self) -> Choice:
        return self.query.choice(self.state.clock(), self.reporting)

    def setting(
        self, *, unfold: bool = False, sort_path: str = "", sorts: tuple[str, ...] | None = None
    ) -> Setting:
        """A column that says the same in every row is left out."""
        hidden = ("source",) if len(self.source_names) == 1 else ()
        return Setting(
            self.query, self.reporting.timezone, self.reporting.currency, unfold, hidden, sort_path, sorts
        )

    @property
    def parameters(self) -> QueryParams:
        """What the address asks, in texts that every database takes."""
        return _parameters(self.request)

    def job_named(self) -> tuple[str, str | None]:
        """The job and source in the address. Raises ConfigError."""
        given = self.parameters
        job_id = given.get("id", "").strip()
        if not job_id:
            raise ConfigError("no job was named", hint="type its id into the search field at the top")
        return job_id, given.get("source") or None

    def frame(self) -> dict[str, Any]:
        """What the page around everything and the filter form need."""
        chosen = self.chosen()
        providers, models = recent_names(self.engine, chosen)
        return {
            "query": self.query,
            "signed_in": self.state.service.token is not None,
            "now": self.state.clock(),
            "zone": self.reporting.timezone,
            "began": self._edge_text(chosen.since),
            "ended": self._edge_text(chosen.until),
            "choices": [
                ("source", "Source", self.source_names),
                ("provider", "Provider", sorted(providers)),
                ("model", "Model", sorted(models)),
                ("status", "Status", sorted({*STATUSES, *self.query.status})),
            ],
        }

    def _edge_text(self, moment: datetime | None) -> str:
        """An end of the range, to the minute; empty where it is open."""
        return "" if moment is None else show_value(moment, "instant", self.reporting.timezone)[:16]

    def page(self, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
        text = html_outside(self.request.scope, self.desk.render(template, values))
        return HTMLResponse(text, status, headers=HEADERS)


def _parameters(request: Request) -> QueryParams:
    """Texts are stored without what some database refuses (NUL, lone surrogates): so are they asked for."""
    given = request.query_params.multi_items()
    return QueryParams([(storable_text(name), storable_text(value)) for name, value in given])


def state_of(request: Request) -> ServiceState:
    state: ServiceState = request.app.state.service
    return state


def _static_mark() -> str:
    """Changes when a static file does, so that browsers may keep them."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
