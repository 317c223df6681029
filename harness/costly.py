"""Bodies that cost more than their reading, by name: what each costs in time and memory.

    python -m harness.costly --mib 16

Each is below `max_body`, so that nothing but a bound on what it holds keeps its cost down. A body is decoded
and turned into rows in a process of its own; the table shows processor seconds and the peak memory in bodies.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

#: Takes a size in bytes, gives a body of about that size.
Maker = Callable[[int], bytes]

_JOB = b'{"id":"video_1:openai","object":"video","model":"sora-2","status":"completed"'


def _list_of(items: bytes) -> bytes:
    return b'{"object":"list","data":[' + items + b'],"has_more":false}'


def _fill_with(unit: bytes, size: int) -> bytes:
    """The unit again and again, with commas between."""
    return b",".join([unit] * max(1, size // (len(unit) + 1)))


def _number_up(pattern: bytes, size: int) -> bytes:
    """The pattern with a number in it, again and again."""
    return b",".join(pattern % n for n in range(max(1, size // (len(pattern) + 6))))


def _with_member(name: bytes, value: bytes) -> bytes:
    return _list_of(_JOB + b',"' + name + b'":' + value + b"}")


def _with_extra(value: bytes) -> bytes:
    return _list_of(_JOB + b"}")[:-1] + b',"extra_fields":' + value + b"}"


MAKERS: dict[str, Maker] = {
    "small_items": lambda size: _list_of(_fill_with(b"1", size)),
    "small_objects": lambda size: _list_of(_fill_with(b"{}", size)),
    "small_jobs": lambda size: _list_of(_number_up(b'{"id":"v%d"}', size)),
    "repeated_job": lambda size: _list_of(_fill_with(b'{"id":"v"}', size)),
    "members_of_a_page": lambda size: _list_of(b"")[:-1] + b"," + _number_up(b'"k%d":1', size) + b"}",
    "members_of_a_job": lambda size: _list_of(_JOB + b"," + _number_up(b'"k%d":1', size) + b"}"),
    "members_below_a_job": lambda size: _with_member(b"usage", b"{" + _number_up(b'"k%d":1', size) + b"}"),
    "members_of_an_error": lambda size: _with_member(b"error", b"{" + _number_up(b'"k%d":1', size) + b"}"),
    "members_of_many_jobs": lambda size: _list_of(_number_up(b'{"id":"v%d","k%%d":1,"u":{"a":[]}}', size)),
    "repeated_member": lambda size: _list_of(_JOB + b"," + _fill_with(b'"id":"video_2"', size) + b"}"),
    "long_list_in_a_job": lambda size: _with_member(b"frames", b"[" + _fill_with(b"{}", size) + b"]"),
    "unclosed_lists": lambda size: _list_of(_JOB + b',"deep":' + b"[" * size),
    "unclosed_objects": lambda size: _list_of(_JOB + b',"deep":' + b'{"a":' * (size // 5)),
    "unclosed_from_the_start": lambda size: b"[" * size,
    "unclosed_data": lambda size: b'{"data":' + b"[" * size,
    "deep_lists": lambda size: _with_member(b"deep", b"[" * (size // 2) + b"]" * (size // 2)),
    "deep_objects": lambda size: _with_member(b"deep", b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6)),
    "deep_items": lambda size: _list_of(_fill_with(b"[" * 5000 + b"]" * 5000, size)),
    "digits": lambda size: _with_member(b"created_at", b"9" * size),
    "digits_of_a_page": lambda size: _list_of(b"")[:-1] + b',"total":' + b"9" * size + b"}",
    "digits_of_a_fraction": lambda size: _with_member(b"progress", b"0." + b"1" * size),
    "digits_in_a_text": lambda size: _with_member(b"created_at", b'"' + b"9" * size + b'"'),
    "digits_many_times": lambda size: _with_member(b"figures", b"[" + _fill_with(b"9" * 4000, size) + b"]"),
    "id": lambda size: _list_of(b'{"id":"' + b"x" * size + b'"}'),
    "prompt": lambda size: _with_member(b"prompt", b'"' + b"x" * size + b'"'),
    "escaped_prompt": lambda size: _with_member(b"prompt", b'"' + rb"\u00e9" * (size // 6) + b'"'),
    "slashes": lambda size: _with_member(b"prompt", b'"' + b"\\\\" * (size // 2) + b'"'),
    "slashes_then_nan": lambda size: _with_member(b"prompt", b'"' + b"\\\\" * (size // 2) + b'","x":NaN'),
    "quotes_then_nan": lambda size: _with_member(b"prompt", b'"' + b'\\"' * (size // 2) + b'","x":NaN'),
    "unclosed_text": lambda size: _list_of(_JOB + b',"prompt":"' + b'\\"' * (size // 2))[:-20],
    "astral_prompt": lambda size: _with_member(b"prompt", b'"' + "🎬".encode() * (size // 4) + b'"'),
    "blanks": lambda size: b" " * size + _list_of(_JOB + b"}"),
    "blanks_inside": lambda size: _list_of(_JOB + b"}" + b" " * size),
    "cursor": lambda size: _list_of(_JOB + b"}")[:-1] + b',"last_id":"' + b"x" * size + b'"}',
    "base64_video": lambda size: _with_member(b"videos", b'[{"b64_json":"' + b"QUJD" * (size // 4) + b'"}]'),
    "cache_debug": lambda size: _with_extra(b'{"cache_debug":{' + _number_up(b'"k%d":1', size) + b"}}"),
    "extra_fields": lambda size: _with_extra(b"{" + _number_up(b'"k%d":1', size) + b"}"),
    "raw_response": lambda size: _with_extra(b'{"raw_response":"' + b"x" * size + b'"}'),
    "error_instead": lambda size: b'{"is_bifrost_error":true,"error":{"message":"' + b"x" * size + b'"}}',
    "many_bad_items": lambda size: _list_of(_fill_with(b'{"id":null,"x":NaN}', size)),
    "one_bad_text": lambda size: _list_of(_JOB + b',"prompt":"\xff' + b"x" * size + b'"}'),
}


def read_costly(body: bytes, prompts: str = "store") -> str:
    """Decodes and transforms a body as the product does; says how it ended."""
    from etl.extract.decode import Garbled, decode_page
    from etl.records import PageRequest, RawPage
    from etl.transform import Options, transform_page

    try:
        envelope = decode_page(body)
    except Garbled as error:
        return f"refused: {str(error)[:90]}"
    page = RawPage(
        request=PageRequest(limit=100),
        items=tuple(envelope.items),
        first_id=None,
        last_id=None,
        has_more=None,
        extra_fields=envelope.extra_fields,
        received_at=datetime.now(UTC),
        http_status=200,
        attempts=1,
        duration=0.0,
        size=len(body),
        gateway_date=None,
        unknown={name: value for name, value in envelope.fields.items() if name not in _NAMED},
    )
    rows = transform_page(page, Options(prompts), source_provider=None)  # type: ignore[arg-type]
    assert len(rows.jobs) + len(rows.rejects) + rows.duplicates == len(page.items)
    reasons = {reject.reason[:60] for reject in rows.rejects[:3]}
    return f"{len(rows.jobs)} jobs, {len(rows.rejects)} rejects, {len(rows.unknown)} unknown {reasons or ''}"


_NAMED = frozenset({"object", "first_id", "last_id", "has_more"})


Cost: TypeAlias = "multiprocessing.SimpleQueue[tuple[float, float, str]]"


def measure_cost(name: str, size: int, prompts: str, answer: Cost) -> None:
    """Puts (processor seconds, peak memory in bodies, how it ended); runs in a process of its own."""
    read_costly(_list_of(_JOB + b"}"), prompts)
    body = MAKERS[name](size)
    before, began = _peak_memory(), time.process_time()
    said = read_costly(body, prompts)
    answer.put((time.process_time() - began, (_peak_memory() - before) / len(body) + 1, said))


def _peak_memory() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    cli = argparse.ArgumentParser(prog="python -m harness.costly", description=__doc__)
    cli.formatter_class = argparse.RawDescriptionHelpFormatter
    cli.add_argument("--mib", type=float, default=16)
    cli.add_argument("--prompts", choices=["store", "hash", "drop"], default="store")
    cli.add_argument("names", nargs="*", default=list(MAKERS))
    given = cli.parse_args()
    context = multiprocessing.get_context("spawn")
    for name in given.names:
        answer: Cost = context.SimpleQueue()
        size = int(given.mib * (1 << 20))
        child = context.Process(target=measure_cost, args=(name, size, given.prompts, answer))
        child.start()
        child.join(120)
        if child.exitcode is None:
            child.kill()
        failed = (120.0, 0.0, f"ended with {child.exitcode}")
        seconds, peak, said = answer.get() if child.exitcode == 0 else failed
        print(f"{name:24} {seconds:7.2f} s {peak:6.1f} × body   {said}", flush=True)


if __name__ == "__main__":
    main()
