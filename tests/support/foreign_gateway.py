"""A small gateway of our own making, for tests that must not ask the simulator what is right.

Its answers are put together from what real Bifrosts sent (gateway.md and the samples beside it); it shares no
code with the simulator. `sent` is what it has handed out, so that a test can judge by that.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Answer = tuple[int, Any]
#: What a row of 2.0 holds besides, as measured.
_BLANK = {"number_of_retries": 0, "fallback_index": 0, "stream": False, "raw_request": "", "raw_response": ""}


def stamp(unix: float) -> str:
    """As Go writes a time: RFC 3339 with nine digits."""
    moment = datetime.fromtimestamp(int(unix), UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{round((unix % 1) * 1e9):09d}Z"


@dataclass
class ForeignGateway:
    """`jobs`: by id, as an answer by id shows them; `listed`: whether it lists. `rows`: of the log, details
    and all; a row is shown in the list of rows only from its `written` on (unix seconds, beside `now`).

    `forgotten`: jobs that the list no longer shows. `before` is called with each path and query before it is
    answered; what it returns, if anything, is the answer. `admin`: user and password that the log asks for.
    """

    version: str = "2.0"
    provider: str = "gemini"
    now: float = 1_795_992_000.0
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    listed: bool = False
    forgotten: set[str] = field(default_factory=set)
    rows: list[dict[str, Any]] = field(default_factory=list)
    admin: tuple[str, str] | None = None
    before: Callable[[str, dict[str, str]], Answer | None] = lambda path, query: None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)
    base_url: str = ""

    def __post_init__(self) -> None:
        self.lock = threading.RLock()

    def make(self, native: str, at: float, *, late: float = 0.0, team: str = "team-1", **job: Any) -> str:
        """A job that somebody asked this gateway for, and the row that its log writes of it."""
        job_id = f"{native}:{self.provider}"
        answer = {"id": job_id, "object": "video", "created_at": int(at), "status": "in_progress", **job}
        self.jobs[job_id] = answer
        row = {
            "id": f"req-{native}",
            "parent_request_id": None,
            "timestamp": stamp(at),
            "object": "video_generation",
            "provider": self.provider,
            "model": answer.get("model", "veo-3.1-generate-preview"),
            **_BLANK,
            "selected_key_id": "key-1-id",
            "selected_key_name": "key-a",
            "virtual_key_id": "vk-1",
            "virtual_key_name": "all",
            "team_id": team,
            "team_name": team.title(),
            "latency": 46,
            "status": "success",
            "content_summary": answer.get("prompt", "a bird"),
            "content_hidden": False,
            "created_at": stamp(at),
            "params": {"seconds": answer.get("seconds", "8"), "size": answer.get("size", "1280x720")},
            "video_generation_input": {"prompt": answer.get("prompt", "a bird")},
            "video_generation_output": {"id": job_id, "created_at": int(at), "object": "video",
                                        "seconds": answer.get("seconds", "8"), "status": "queued"},
            "written": at + late,
        }  # fmt: skip
        if self.version == "2.1":
            row["video_debug"] = {"video_id": job_id, "status": "queued", "accounting": None}
        if self.version == "1.5":
            for name in ("content_summary", "content_hidden", "video_generation_output"):
                del row[name]
        self.rows.append(row)
        return job_id

    def remix(self, native: str, at: float, parent: str, **job: Any) -> str:
        """A job made from another; its row names the parent by its native id, and no model."""
        job_id = self.make(native, at, remixed_from_video_id=f"{parent}:{self.provider}", **job)
        self.rows[-1] |= {"object": "video_remix", "model": "", "params": {"video_id": parent}}
        if "video_generation_output" in self.rows[-1]:
            self.rows[-1]["video_generation_output"]["remixed_from_video_id"] = f"{parent}:{self.provider}"
        return job_id

    def poll(self, native: str, at: float) -> None:
        """The row of a read by id."""
        row = {**self.rows[-1], "id": f"poll-{native}-{at}", "timestamp": stamp(at), "written": at}
        for name in ("video_generation_output", "video_debug", "video_generation_input"):
            row.pop(name, None)
        self.rows.append(row | {"object": "video_retrieve", "model": "", "params": {"video_id": native}})

    # what is answered

    def answer(self, path: str, query: dict[str, str], authorization: str) -> Answer:
        with self.lock:
            self.asked.append((path, query))
            said = self.before(path, query)
            if said is not None:
                return said
            if path.startswith("/api/logs"):
                return self._log(path, query, authorization)
            if path == "/v1/videos":
                return self._list(query)
            if path.startswith("/v1/videos/"):
                return self._job(unquote(path.removeprefix("/v1/videos/")))
            return 404, {"error": "not found"}

    def _log(self, path: str, query: dict[str, str], authorization: str) -> Answer:
        if self.admin is not None:
            wanted = "Basic " + base64.b64encode(":".join(self.admin).encode()).decode()
            if authorization != wanted:
                return 401, {"error": "Unauthorized"}
        if path != "/api/logs":
            found = [row for row in self._written() if row["id"] == path.removeprefix("/api/logs/")]
            if not found:
                return 404, {"error": "log not found"}
            return 200, {name: value for name, value in found[0].items() if name != "written"}
        limit, offset = int(query.get("limit", 50)), int(query.get("offset", 0))
        if not 1 <= limit <= 1000:
            return 400, {"error": "limit must be between 1 and 1000"}
        rows = [row for row in self._written() if self._asked_for(row, query)]
        rows.sort(key=lambda row: row["timestamp"], reverse=query.get("order", "desc") == "desc")
        shown = rows[offset : offset + limit]
        self.sent.update(row["id"] for row in shown)
        paging = {"limit": limit, "offset": offset, "sort_by": "timestamp", "total_count": 0}
        return 200, {"logs": [self._short(row) for row in shown], "pagination": paging, "has_logs": True}

    def _written(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["written"] <= self.now]

    def _asked_for(self, row: dict[str, Any], query: dict[str, str]) -> bool:
        kinds, providers = query.get("objects"), query.get("providers")
        if kinds and row["object"] not in kinds.split(","):
            return False
        if providers and row["provider"] not in providers.split(","):
            return False
        start = _unix(query.get("start_time"))
        return start is None or (_unix(row["timestamp"]) or 0) >= start

    def _short(self, row: dict[str, Any]) -> dict[str, Any]:
        """In the list of rows neither params nor outputs stand."""
        left_out = ("params", "video_generation_output", "video_retrieve_output", "error_details", "written")
        return {name: value for name, value in row.items() if name not in left_out}

    def _list(self, query: dict[str, str]) -> Answer:
        if not self.listed:
            code = {
                "code": "unsupported_operation",
                "message": f"video_list is not supported by {self.provider} provider",
            }
            return 400, {"is_bifrost_error": False, "error": code, "extra_fields": {}}
        kept = [job for job_id, job in self.jobs.items() if job_id not in self.forgotten]
        jobs = sorted(kept, key=lambda job: (job["created_at"], job["id"]))
        if query.get("order", "desc") == "desc":
            jobs.reverse()
        ids = [job["id"] for job in jobs]
        begin = ids.index(query["after"]) + 1 if "after" in query else 0
        page = jobs[begin : begin + int(query["limit"])]
        shown = [
            {name: value for name, value in job.items() if name not in ("videos", "content_filter", "usage")}
            for job in page
        ]
        more = begin + len(page) < len(jobs)
        return 200, {"object": "list", "data": shown, "has_more": more}

    def _job(self, job_id: str) -> Answer:
        job = self.jobs.get(job_id)
        if job is None:
            return 404, {"is_bifrost_error": False, "status_code": 404, "error": {"message": "no such video"}}
        return 200, {**job, "extra_fields": {"request_type": "video_retrieve", "provider": self.provider}}


def _unix(text: str | None) -> float | None:
    try:
        return None if text is None else datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None  # silently ignored, as measured


@contextmanager
def serving(gateway: ForeignGateway) -> Iterator[ForeignGateway]:
    """The gateway on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            status, said = gateway.answer(parts.path, query, self.headers.get("Authorization", ""))
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            kind = "text/html" if isinstance(said, bytes) else "application/json"
            self.send_response_only(status)
            self.send_header("Date", self.date_time_string(int(gateway.now)))
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    gateway.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
