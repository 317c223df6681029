"""Servers with a list of videos that are no Bifrost, written from their makers' public documents.

They share no code with the simulator. What each document says: OpenAI's and Microsoft Foundry's reference of
`List videos`, Inworld's and Merge's "List videos", and for LiteLLM what its proxy 1.108.7 was seen to answer.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Answer = tuple[int, dict[str, Any]]
KEY = "sk-4f9aC17e2bX8d6035Qz"


@dataclass
class OpenAI:
    """`jobs` in the order of creation. `cap`: no page is longer, whatever was asked."""

    jobs: list[dict[str, Any]] = field(default_factory=list)
    cap: int = 100
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    base_url: str = ""
    path = "/v1/videos"
    parameters = frozenset({"after", "limit", "order"})
    headers: dict[str, str] = field(default_factory=lambda: {"openai-version": "2020-10-01"})

    def __post_init__(self) -> None:
        self.lock = threading.RLock()

    def make(self, number: int, first_at: float, *, begin: int = 0, status: str = "completed") -> None:
        """Jobs one minute apart, numbered from `begin` on."""
        for n in range(begin, begin + number):
            job = {"id": f"video_{n:04}", "object": "video", "model": "sora-2", "status": status,
                   "progress": 100, "created_at": int(first_at) + 60 * n, "size": "1280x720",
                   "seconds": "8", "prompt": f"prompt {n}"}  # fmt: skip
            self.jobs.append(job)

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> Answer:
        with self.lock:
            self.asked.append((path, query))
            if not self.admits(headers):
                return self.refuse(401, "Incorrect API key provided.", code="invalid_api_key")
            if path == self.path:
                return self.list_jobs(query, headers)
            if path.startswith(self.path + "/"):
                return self.one(unquote(path.removeprefix(self.path + "/")), headers)
            return self.refuse(404, f"Invalid URL (GET {path})")

    def admits(self, headers: dict[str, str]) -> bool:
        return headers.get("authorization") == f"Bearer {KEY}"

    def refuse(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> Answer:
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        return status, {"error": error}

    def list_jobs(self, query: dict[str, str], headers: dict[str, str]) -> Answer:
        for name in sorted(query.keys() - self.parameters):
            return self.refuse(400, f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
        limit = int(query.get("limit", 20))
        if not 0 <= limit <= 100:
            return self.refuse(400, "Invalid 'limit'.", code="integer_above_max_value", param="limit")
        return self.page(self.jobs, query, min(limit, self.cap))

    def page(self, jobs: list[dict[str, Any]], query: dict[str, str], limit: int) -> Answer:
        found = list(jobs) if query.get("order", "desc") == "asc" else jobs[::-1]
        ids = [job["id"] for job in found]
        if (after := query.get("after")) is not None and after not in ids:
            return self.refuse(404, f"No video with id '{after}'.")
        begin = ids.index(after) + 1 if after is not None else 0
        shown = found[begin : begin + limit]
        ends = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else self.no_ends()
        return 200, {"object": "list", "data": shown, **ends, "has_more": begin + len(shown) < len(found)}

    def no_ends(self) -> dict[str, Any]:
        return {}

    def one(self, job_id: str, headers: dict[str, str]) -> Answer:
        for job in self.jobs:
            if job["id"] == job_id:
                return 200, job
        return self.refuse(404, f"Video with id '{job_id}' not found.")


class Foundry(OpenAI):
    """The resource's own path and header; `first_id` and `last_id` are required and may be null."""

    path = "/openai/v1/videos"

    def admits(self, headers: dict[str, str]) -> bool:
        return headers.get("api-key") == KEY

    def refuse(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> Answer:
        said = {
            401: "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide "
            "a valid key for an active subscription and use a correct regional API endpoint for your "
            "resource.",
            404: "Resource not found",
        }
        return status, {"error": {"code": str(status), "message": said.get(status, message)}}

    def no_ends(self) -> dict[str, Any]:
        return {"first_id": None, "last_id": None}


class LiteLLM(OpenAI):
    """Whatever is asked, the newest 20 of the provider that the header names, ids wrapped in base64."""

    provider = "azure"

    def list_jobs(self, query: dict[str, str], headers: dict[str, str]) -> Answer:
        named = headers.get("custom-llm-provider", "openai")
        if named != self.provider:
            message = f"litellm.APIConnectionError: no credentials for provider {named}"
            return 500, {"error": {"message": message, "type": None, "param": None, "code": "500"}}
        shown = [{**job, "id": self.wrapped(job["id"])} for job in self.jobs[::-1][:20]]
        ends = {name: self.wrapped(shown[at]["id"]) for name, at in (("first_id", 0), ("last_id", -1))}
        return 200, {"object": "list", "data": shown, **ends, "has_more": len(self.jobs) > 20}

    def wrapped(self, native: str) -> str:
        told = f"litellm:custom_llm_provider:{self.provider};model_id:None;video_id:{native}"
        return "video_" + base64.b64encode(told.encode()).decode()

    def one(self, job_id: str, headers: dict[str, str]) -> Answer:
        told = base64.b64decode(job_id.removeprefix("video_")).decode()
        status, job = super().one(told.partition("video_id:")[2], headers)
        return status, {**job, "id": job_id} if status == 200 else job


class Numbered(OpenAI):
    """Pages by their numbers (`page=2`); whatever else is asked, it shows the first one, newest first."""

    def list_jobs(self, query: dict[str, str], headers: dict[str, str]) -> Answer:
        size, number = min(int(query.get("limit", 20)), 100), int(query.get("page", 1))
        shown = self.jobs[::-1][size * (number - 1) : size * number]
        pages = -(-len(self.jobs) // size)
        return 200, {"object": "list", "data": shown, "page": number, "total_pages": pages}


@dataclass
class Merge(OpenAI):
    """The last 24 hours; each entry with the status of the job's last poll; limits are clamped."""

    now: float = 0.0
    polled: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def refuse(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> Answer:
        return status, {"detail": message}

    def list_jobs(self, query: dict[str, str], headers: dict[str, str]) -> Answer:
        if query.get("order", "desc") not in ("asc", "desc"):
            place = {"loc": ["query", "order"], "msg": "Input should be 'asc' or 'desc'", "type": "enum"}
            return 422, {"detail": [place]}
        recent = [job for job in self.jobs if job["created_at"] >= self.now - 86_400]
        shown = [{**job, "status": self.polled.get(job["id"], "queued")} for job in recent]
        return self.page(shown, query, min(max(int(query.get("limit", 20)), 1), 100))

    def one(self, job_id: str, headers: dict[str, str]) -> Answer:
        status, job = super().one(job_id, headers)
        if status == 200:
            self.polled[job_id] = job["status"]
        return status, job


class Inworld(OpenAI):
    """Newest first, and nothing else; the key goes as it is behind `Basic`."""

    parameters = frozenset({"after", "limit"})

    def admits(self, headers: dict[str, str]) -> bool:
        return headers.get("authorization") == f"Basic {KEY}"

    def refuse(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> Answer:
        return status, {"code": {400: 3, 401: 16, 404: 5}.get(status, 2), "message": message, "details": []}


class LenientInworld(Inworld):
    """As some servers do, it passes over what it does not know."""

    parameters = frozenset({"after", "limit", "order", "provider"})

    def page(self, jobs: list[dict[str, Any]], query: dict[str, str], limit: int) -> Answer:
        return super().page(jobs, {**query, "order": "desc"}, limit)


@contextmanager
def serving(server: OpenAI) -> Iterator[OpenAI]:
    """The server on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            sent = {name.lower(): value for name, value in self.headers.items()}
            status, said = server.answer(parts.path, query, sent)
            body = json.dumps(said).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **server.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    server.base_url = f"http://127.0.0.1:{running.server_address[1]}"
    try:
        yield server
    finally:
        running.shutdown()
        running.server_close()
        thread.join()
