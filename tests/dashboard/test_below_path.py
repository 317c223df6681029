"""Below a path of a proxy every link, form, file and redirect stays below it."""

from __future__ import annotations

import contextlib
import html
import http.client
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import pytest

from etl.config import Secret
from tests.dashboard.site import Site
from tests.support.rig import Rig

PATH = "/tools/videos"
TOKEN = "canary-6b1f02c7de5a4f39"
_ADDRESSES = re.compile(r'\b(?:href|src|action|data-live|data-later)="([^"]*)"')


@contextlib.contextmanager
def proxy(site: Site, *, takes_off: bool, tells: str = "") -> Iterator[str]:
    """Answers below PATH only, as `location /tools/videos/` of a web server does; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on(None)

        def do_POST(self) -> None:
            self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

        def _pass_on(self, body: bytes | None) -> None:
            if not self.path.startswith(f"{PATH}/"):
                self.send_error(404, "another program's")
                return
            asked = self.path.removeprefix(PATH) if takes_off else self.path
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
            headers |= {"X-Forwarded-Prefix": tells} if tells else {}
            way = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=60)
            way.request(self.command, asked, body, headers)
            answer = way.getresponse()
            told = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)
            way.close()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def ask(host: str, path: str, body: str | None = None, **headers: str) -> tuple[int, str, Any]:
    way = http.client.HTTPConnection(host, timeout=60)
    way.request("GET" if body is None else "POST", path, body, {"Accept": "text/html", **headers})
    answer = way.getresponse()
    text = answer.read().decode("utf-8", "replace")
    way.close()
    return answer.status, text, answer.headers


def linked(page: str, text: str) -> set[str]:
    """Where a page leads, as a browser makes addresses of what stands in it."""
    found = (urljoin(page, html.unescape(each)) for each in _ADDRESSES.findall(text))
    return {each for each in found if not each.startswith("http")}


WAYS = {
    "the proxy takes it off and says so": {"takes_off": True, "tells": PATH},
    "two proxies say so": {"takes_off": True, "tells": "/tools, /videos"},
    "it is left on, and said": {"takes_off": False, "tells": PATH + "/"},
}
SET = {"taken off": {"takes_off": True}, "left on": {"takes_off": False}}


@pytest.mark.parametrize("way", WAYS)
def test_every_link_of_every_page_is_answered_there(made: Rig, way: str) -> None:
    site = Site(made.app, made.now)
    with site.server, proxy(site, **WAYS[way]) as host:
        crawl(host)


@pytest.mark.parametrize("way", SET)
def test_the_path_may_stand_in_the_configuration(made: Rig, way: str) -> None:
    site = Site(made.app, made.now, path=PATH)
    with site.server, proxy(site, **SET[way]) as host:
        crawl(host)


def crawl(host: str) -> None:
    """One address of each kind of page, from the first page on: no link leads to another program."""
    waiting, kinds, seen = [f"{PATH}/"], set[str](), set[str]()
    while waiting:
        address = waiting.pop()
        kind = urlsplit(address).path
        if kind in kinds or address == f"{PATH}/job":  # the search form's, which lacks what is typed
            continue
        kinds.add(kind)
        status, text, headers = ask(host, address)
        assert status == 200, (address, status)
        if "html" in headers["Content-Type"]:
            more = linked(address, text)
            assert {each for each in more if not each.startswith(f"{PATH}/")} == set(), address
            seen |= more
            waiting += more
    names = {kind.removeprefix(PATH) for kind in kinds}
    assert {"/", "/jobs", "/job", "/tables/models", "/static/page.js", "/jobs.csv"} <= names
    assert any(name.startswith("/part/") for name in names)


def test_who_signs_in_comes_back_to_the_page_below_the_path(made: Rig) -> None:
    site = Site(made.app, made.now, host="127.0.0.1", token=Secret(TOKEN))
    with site.server, proxy(site, takes_off=True, tells=PATH) as host:
        status, _, headers = ask(host, f"{PATH}/jobs?sort=model")
        where = headers["Location"]
        assert status == 303 and where.startswith(f"{PATH}/login?")
        form = linked(where, ask(host, where)[1])
        assert [urlsplit(each).path for each in form] == [f"{PATH}/login"]
        status, _, headers = ask(host, form.pop(), urlencode({"token": TOKEN}))
        assert (status, headers["Location"]) == (303, f"{PATH}/jobs?sort=model")
        cookie = headers["Set-Cookie"]
        assert f"Path={PATH};" in f"{cookie};"
        assert ask(host, f"{PATH}/", Cookie=cookie.partition(";")[0])[0] == 200


@pytest.mark.parametrize(
    "told", ["//evil.example", "https://evil.example", '/a" onload="x', "/a/../..", "/%2f"]
)
def test_a_header_that_lies_changes_nothing(made: Rig, told: str) -> None:
    site = Site(made.app, made.now)
    with site.server:
        text = site.get("/", **{"X-Forwarded-Prefix": told}).text
    assert 'href="/jobs' in text and "evil" not in text and "onload" not in text
