"""A recorded gateway: equal requests get the answers that were recorded, in their order; the last one stays.

The file is what `bifrost-etl record` writes: JSON lines, the first one says format and version.
"""

import base64
import json
import sys
import threading
from pathlib import Path
from typing import Any

from etl.simulator.wire import Request, Response, dump_json

FORMAT, VERSION = "bifrost-etl-recording", 1
#: In the answer to a request that was not recorded.
MARKER = "X-Simulator-Not-Recorded"
UNRECORDED = "/_sim/unrecorded"


class Replay:
    """`head`: the file's first line. `unrecorded`: what was asked and is not in it, as targets.

    Raises ValueError for a file that is no recording of this version, OSError for one that cannot be read.
    """

    latency = 0.0

    def __init__(self, path: Path) -> None:
        with path.open(encoding="utf-8") as file:
            self.head = _read_head(file.readline(), path)
            self._answers: dict[str, list[Response]] = {}
            for number, line in enumerate(file, start=2):
                self._take(line, f"{path}, line {number}")
        self.unrecorded: list[str] = []
        self._lock = threading.Lock()

    def _take(self, line: str, where: str) -> None:
        try:
            one = json.loads(line)
            request = Request(one["method"], _decode_path(one["path"]), one["query"], {})
            self._answers.setdefault(_request_key(request), []).append(_recorded_response(one))
        except (ValueError, KeyError, TypeError) as exc:
            raise ValueError(f"{where}: no exchange: {exc!r}") from None

    def handle(self, request: Request) -> Response:
        """The answer to one request; `/_sim/unrecorded` lists those that had none."""
        if request.path == UNRECORDED:
            return Response(200, dump_json({"unrecorded": self.unrecorded}))
        with self._lock:
            answers = self._answers.get(_request_key(request))
            if answers:
                return answers.pop(0) if len(answers) > 1 else answers[0]
            self.unrecorded.append(_request_target(request))
        print(f"not recorded: {_request_target(request)}", file=sys.stderr, flush=True)
        error = {"code": "not_recorded", "message": "This request is not in the recording."}
        return Response(404, dump_json({"error": error}), headers={MARKER: "1"})


def _read_head(line: str, path: Path) -> dict[str, Any]:
    try:
        head = json.loads(line)
    except ValueError:
        head = None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ValueError(f"{path} is no recording; `bifrost-etl record` makes them")
    if head.get("version") != VERSION:
        raise ValueError(f"{path} is a recording of version {head.get('version')!r}, not {VERSION}")
    return head


def _recorded_response(one: dict[str, Any]) -> Response:
    body = base64.b64decode(one["body_base64"]) if "body_base64" in one else one["body"].encode()
    headers = {name.title(): value for name, value in one["headers"].items()}
    kind = headers.pop("Content-Type", "")
    return Response(int(one["status"]), body, kind, headers)


def _decode_path(path: str) -> str:
    return Request.to(path).path


def _request_key(request: Request) -> str:
    return json.dumps([request.method, request.path, sorted(request.query.items())])


def _request_target(request: Request) -> str:
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    return f"{request.method} {request.path}{'?' + query if query else ''}"
