"""Every table as a file: CSV that no spreadsheet executes, and JSON."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict

from starlette.responses import Response, StreamingResponse

from etl.analytics.history import read_history
from etl.analytics.jobs import every_job
from etl.analytics.queries import Table
from etl.analytics.rendering import Document, plain_json, to_csv, to_json
from etl.errors import ConfigError
from etl.log import visible_json
from etl.web.dashboard.context import HEADERS, Call, Missing
from etl.web.dashboard.tables import read_table

_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
_WRITERS: dict[str, Callable[[Document], str]] = {"csv": to_csv, "json": to_json}


def download_table(call: Call) -> Response:
    """All rows of the table, in the form that the address ends with."""
    form = _chosen_form(call)
    view, found = read_table(call, None)
    chosen = call.chosen()
    whole = Document(view.title, (found,), chosen.zone, chosen.since, chosen.until, chosen.now)
    return _file_response(view.name, form, iter([_WRITERS[form](whole)]))


def download_jobs(call: Call) -> Response:
    """All chosen jobs, a few thousand at a time."""
    form = _chosen_form(call)
    tables = every_job(call.engine, call.choice())
    first = next(tables)  # what goes wrong at once is still a page
    return _file_response("jobs", form, (_csv_pieces if form == "csv" else _json_pieces)(first, tables))


def download_job(call: Call) -> Response:
    """One job with every version."""
    named = call.job_named()
    try:
        found = read_history(call.engine, *named)
    except ConfigError as error:
        raise Missing("There is no such job", str(error), error.hint) from None
    text = json.dumps(
        {"jobs": [asdict(one) for one in found]}, default=plain_json, ensure_ascii=False, indent=2
    )
    return _file_response("job", "json", iter([visible_json(text) + "\n"]))


def _csv_pieces(first: Table, rest: Iterator[Table]) -> Iterator[str]:
    yield to_csv(Document("Jobs", (first,)))
    for table in rest:
        yield to_csv(Document("Jobs", (table,))).partition("\n")[2]


def _json_pieces(first: Table, rest: Iterator[Table]) -> Iterator[str]:
    """The text that `to_json` writes of one table, but never all of it in memory."""
    names = [column.name for column in first.columns]
    columns = [{"name": c.name, "kind": c.kind, "comment": c.comment} for c in first.columns]
    yield f'{{"title": "Jobs", "tables": {{"jobs": {{"columns": {json.dumps(columns)}, "rows": ['
    comma = ""
    for table in itertools.chain([first], rest):
        rows = (dict(zip(names, row, strict=True)) for row in table.rows)
        text = ",\n".join(json.dumps(row, ensure_ascii=False, default=plain_json) for row in rows)
        if text:
            yield f"{comma}\n{visible_json(text)}"
            comma = ","
    yield '], "cut": false}}}\n'


def _chosen_form(call: Call) -> str:
    form: str = call.request.path_params["form"]
    if form not in _TYPES:
        raise Missing("There is no such file", f"Tables come as {' or '.join(_TYPES)}.")
    return form


def _file_response(name: str, form: str, pieces: Iterator[str]) -> Response:
    headers = HEADERS | {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return StreamingResponse(pieces, media_type=_TYPES[form], headers=headers)
