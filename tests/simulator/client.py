"""A client that knows nothing: raw http.client, one connection per request."""

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from etl.simulator import Simulator


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(sim: Simulator, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def listed(sim: Simulator, headers: dict[str, str] | None = None, **query: object) -> Answer:
    query = {"provider": sim.world.provider, **query}
    return ask(sim, "/v1/videos?" + urlencode(query), headers)


def single(sim: Simulator, id: str, headers: dict[str, str] | None = None) -> Answer:
    return ask(sim, "/v1/videos/" + quote(id, safe=""), headers)


def pages(sim: Simulator, headers: dict[str, str] | None = None, **query: object) -> list[Any]:
    """Every page, following last_id while has_more."""
    found = [listed(sim, headers, **query).json]
    while found[-1]["has_more"]:
        found.append(listed(sim, headers, **{**query, "after": found[-1]["last_id"]}).json)
    return found


def ids(*pages: Any) -> list[str]:
    return [job["id"] for page in pages for job in page["data"]]
