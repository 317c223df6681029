"""`record` saves what a gateway answers, without secrets and prompts; `simulate --replay` serves it again."""

from __future__ import annotations

import base64
import json
import re
import shlex
import signal
import stat
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from etl.recording.scrub import Cleaner
from etl.recording.tape import RecordedExchange
from etl.recording.tokens import cut_pieces
from etl.simulator import Replay, Serving, Simulator, World
from tests.reliability.raw_gateway import Ask, RawGateway, answer, job, page
from tests.reliability.test_prompts_not_stored import places, spellings
from tests.support.command import Command

TOKEN = "sk-bf-canary-7f3a9c51e2"
PROMPT = 'A Zebraquux "paints" <the> Größe of 77 moons'
WORD = "zebraquux77moons"


def recorded(folder: Path, base_url: str, *options: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    environ = {"BIFROST_BASE_URL": base_url, "BIFROST_API_KEY": TOKEN, "BIFROST_PROVIDER": "openai"}
    database = folder / "mirror.db"
    done = Command(folder, DATABASE_URL=f"sqlite:///{database}", **environ)(
        "record", *options, "gateway.jsonl"
    )
    assert done.code == 0, done.all
    assert TOKEN not in done.all
    assert not database.exists()
    head, *lines = [json.loads(line) for line in (folder / "gateway.jsonl").read_text().splitlines()]
    return head, lines


def everything(lines: list[dict[str, Any]]) -> str:
    """The file as a thief would read it: as it is, and with each body decoded."""
    found = [json.dumps(lines, ensure_ascii=False)]
    for line in lines:
        body = base64.b64decode(line["body_base64"]) if "body_base64" in line else line["body"].encode()
        found += [body.decode("utf-8", "replace"), body.decode("unicode_escape", "replace")]
    return "\n".join(found).casefold()


def test_no_secret_and_no_prompt_of_the_world_is_in_the_file(tmp_path: Path) -> None:
    with Simulator(World(jobs=30, version="2.0", failures=0.3), token=TOKEN) as sim:
        prompts = {row["prompt"] for row in sim.world.expected() if row.get("prompt")}
        head, lines = recorded(tmp_path, sim.base_url)
        assert {asked.method for asked in sim.requests} == {"GET"}
    assert len(prompts) > 10
    said = everything(lines) + json.dumps(head)
    assert TOKEN not in said and base64.b64encode(TOKEN.encode()).decode().casefold() not in said
    assert not [prompt for prompt in prompts if prompt.casefold() in said]
    assert stat.S_IMODE((tmp_path / "gateway.jsonl").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["gateway.jsonl"]
    assert head["format"] == "bifrost-etl-recording" and head["version"] == 1
    assert "authorization" in head["request_headers"]
    paths = {line["path"] for line in lines}
    assert {"/health", "/v1/videos", "/openai_passthrough/v1/videos"} <= paths
    assert any(path.startswith("/v1/videos/") for path in paths)
    assert any(line["status"] == 404 for line in lines)  # the cursor that is not there


@pytest.mark.parametrize("prompt", [PROMPT, WORD])
def test_no_spelling_of_a_prompt_stays_wherever_it_stands(prompt: str) -> None:
    """The prompt and a key in every member, in every spelling, escaped, and in half an answer."""
    for text in [*spellings(prompt), f"{prompt} {TOKEN}", f"x{TOKEN}"]:
        for member in places(text):
            whole = json.dumps({"data": [{"id": "video_1:openai", "prompt": prompt, **member}]}).encode()
            for body in (whole, whole[:-9], whole.replace(b'"prompt"', b'"pro\\u006dpt"')):
                said = body_of(body)
                assert not re.search(rb"zebraquux|emVicmFxdXV4|canary", said, re.IGNORECASE), said


def body_of(body: bytes, *, anonymous: bool = False) -> bytes:
    one = RecordedExchange("/v1/videos", {}, 200, {}, body)
    cleaner = Cleaner([one], secrets_known=[TOKEN], credentials=[TOKEN], anonymous=anonymous)
    return cleaner.exchange(one).body


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"data": [],"has_more" :null}', b'{"data": [],"has_more" :null}'),
        (b'{"prompt":"a cat","prompt":"a cat"}', b'{"prompt":"prompt-00001","prompt":"prompt-00001"}'),
        (b'{"prompt":"a \xff cat"}', b'{"prompt":"prompt-00001\xff"}'),
        (b'{"prompt":"a \\ud83d cat"}', b'{"prompt":"prompt-00001\\ud800"}'),
        (b'{"prompt":"a cat', b'{"prompt":"prompt-00001'),
        (b'{"id":7,"progress":1e3,"x":NaN}', b'{"id":7,"progress":1e3,"x":NaN}'),
        (b"{prompt:'a cat'}", b"{xxxxxx:xxxxxxx xxxx}".replace(b"xxxxxxx xxxx", b"xx xxxx")),
        (b'{"url":"https://u:p@cdn.example/v.mp4?sig=1"}', b'{"url":"https://cdn.example/file-00001"}'),
        (b'{"status":"in_progress","model":"sora-2"}', b'{"status":"in_progress","model":"sora-2"}'),
        (
            b'{"error":{"message":"failed to unmarshal response from provider API"}}',
            b'{"error":{"message":"failed to unmarshal response from provider API"}}',
        ),
        (b"<html>a cat</html>", b"<html>[withheld: 18 bytes]</html>"),
        (b"", b""),
    ],
)
def test_all_that_makes_an_answer_strange_stays(before: bytes, after: bytes) -> None:
    assert body_of(before) == after


def test_pieces_are_all_of_the_bytes() -> None:
    body = b'\xef\xbb\xbf {"a":[1,"x\\"y"],}]] \xff "open\\'
    assert b"".join(piece.raw for piece in cut_pieces(body)) == body


def test_media_and_other_peoples_keys_are_dropped() -> None:
    said = body_of(
        json.dumps(
            {"videos": [{"base64": "QUJD" * 200}], "note": "sk-proj-0123456789abcdefXYZ", "k": f"x{TOKEN}"}
        ).encode()
    )
    assert b"QUJD" not in said and b"0123456789abcdef" not in said and b"canary" not in said


def test_anonymous_hashes_ids_the_same_way_everywhere(tmp_path: Path) -> None:
    with Simulator(World(jobs=12, version="2.0"), token=TOKEN) as sim:
        ids = [row["id"] for row in sim.world.expected()]
        head, lines = recorded(tmp_path, sim.base_url, "--anonymous")
    said = everything(lines)
    assert not [i for i in ids if i.removesuffix(":openai").casefold() in said]
    assert head["host"].startswith("host-")
    listed = {job["id"] for line in lines if line["path"] == "/v1/videos" for job in _data(line)}
    assert len([i for i in listed if i.endswith(":openai")]) == 12
    through = {job["id"] for line in lines if "passthrough" in line["path"] for job in _data(line)}
    assert {f"{native}:openai" for native in through} <= listed
    assert {line["query"]["after"] for line in lines if "after" in line["query"]} & listed


def _data(line: dict[str, Any]) -> list[dict[str, Any]]:
    return json.loads(line.get("body") or "{}").get("data") or []


def test_pages_bound_what_is_asked(tmp_path: Path) -> None:
    with Simulator(World(jobs=2000), token=TOKEN) as sim:
        recorded(
            tmp_path, sim.base_url, "--pages", "2", "--job", "video_x:openai", "--after", "video_y:openai"
        )
        asked = [(r.path, r.query) for r in sim.requests]
    assert len([q for p, q in asked if p == "/v1/videos" and q["limit"] == "100"]) == 2 + 2 + 2 + 1 + 1
    assert len(asked) < 50
    assert ("/v1/videos/video_x:openai", {}) in asked


def test_a_gateway_that_answers_nothing_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "gateway.jsonl").write_text("before")
    environ = {
        "BIFROST_BASE_URL": "http://127.0.0.1:9",
        "BIFROST_API_KEY": TOKEN,
        "BIFROST_PROVIDER": "openai",
    }
    done = Command(tmp_path, DATABASE_URL="sqlite:///mirror.db", **environ)("record", "gateway.jsonl")
    assert done.code == 1 and "nothing was answered" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["gateway.jsonl"]
    assert (tmp_path / "gateway.jsonl").read_text() == "before"


def test_a_key_that_a_command_gives_is_masked_where_it_is_echoed(tmp_path: Path) -> None:
    """Every key that was sent, not only the one that the configuration would give now."""
    sent: list[str] = []

    def behave(ask: Ask) -> Any:
        key = re.search(rb"Bearer (\S+)", ask.head)
        assert key is not None
        sent.append(key[1].decode())
        return answer(
            page(([job(1, note=sent[-1], remixed_from_video_id=f"{sent[-1]}:openai")], False), echo=sent[-1])
        )

    count = "echo x >> count; printf 'tok9Q7zLm4%04dRw8Kp2V' $(wc -l < count)"
    with RawGateway(behave) as gateway:
        text = f"database: {{url: 'sqlite:///m.db'}}\nsources:\n- name: a\n  base_url: {gateway.base_url}\n"
        command = f"  provider: openai\n  api_key_command: {json.dumps(f'sh -c {shlex.quote(count)}')}\n"
        (tmp_path / "c.yaml").write_text(text + command)
        done = Command(tmp_path)("record", "--config", "c.yaml", "gateway.jsonl")
    assert done.code == 0, done.all
    said = (tmp_path / "gateway.jsonl").read_text()
    assert sent and "****" in said
    assert not [key for key in {*sent, "tok9Q7zLm4"} if key in said]


def _interrupted(process: subprocess.Popen[str]) -> str:
    """Ctrl-C, once. Returns what it said."""
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError("Ctrl-C ends nothing") from None


def test_an_interrupted_recording_leaves_no_file(tmp_path: Path) -> None:
    asked, release = threading.Event(), threading.Event()

    def behave(ask: Ask) -> Any:
        if ask.path != "/health":
            asked.set()
            release.wait(60)
        return answer(b"{}")

    with RawGateway(behave) as gateway:
        environ = {"BIFROST_BASE_URL": gateway.base_url, "BIFROST_API_KEY": TOKEN}
        command = Command(tmp_path, DATABASE_URL="sqlite:///mirror.db", BIFROST_PROVIDER="openai", **environ)
        process = command.start("record", "gateway.jsonl")
        assert asked.wait(60)
        said = _interrupted(process)
        release.set()
    assert process.returncode == 130, said
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_are_no_text_come_back_as_they_were(tmp_path: Path) -> None:
    body = page(([job(1, prompt="PROMPT")], False)).replace(b"PROMPT", b"Gr\xf6\xdfe")

    def behave(ask: Ask) -> Any:
        return answer(body)

    with RawGateway(behave) as gateway:
        _, lines = recorded(tmp_path, gateway.base_url, "--pages", "1")
    assert any("body_base64" in line for line in lines)
    with Serving(Replay(tmp_path / "gateway.jsonl")) as server:
        said = get(f"{server.base_url}/v1/videos?limit=100&order=asc&provider=openai")[1]
    assert b"video_00001:openai" in said and b"\xff" in said and b"Gr" not in said


def test_what_was_not_recorded_is_marked_and_listed(tmp_path: Path) -> None:
    head = {"format": "bifrost-etl-recording", "version": 1, "source": {}}
    one = {"method": "GET", "path": "/v1/videos/a%2Fb", "query": {"x": "1"}, "status": 410}
    lines = [
        head,
        *({**one, "headers": {"date": "D", "x-bifrost-a": "b"}, "body": said} for said in ("1", "2")),
    ]
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with Serving(Replay(path)) as server:
        answers = [get(f"{server.base_url}/v1/videos/a%2Fb?x=1") for _ in range(3)]
        assert [(status, body) for status, body, _ in answers] == [(410, b"1"), (410, b"2"), (410, b"2")]
        assert answers[0][2].get_all("Date") == ["D"] and answers[0][2]["X-Bifrost-A"] == "b"
        status, _, headers = get(f"{server.base_url}/v1/videos/a%2Fb?x=2")
        assert status == 404 and headers["X-Simulator-Not-Recorded"] == "1"
        told = json.loads(get(f"{server.base_url}/_sim/unrecorded")[1])
    assert told == {"unrecorded": ["GET /v1/videos/a/b?x=2"]}


def get(url: str) -> tuple[int, bytes, Any]:
    try:
        with urllib.request.urlopen(url) as response:
            return response.status, response.read(), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


@pytest.mark.parametrize("text", ["", "{}\n", "[1]\n", '{"format":"bifrost-etl-recording","version":2}\n'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match="recording"):
        Replay(path)
