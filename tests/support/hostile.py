"""Items that a gateway should never send, by name. Shared by every suite that feeds items to anything.

`HOSTILE` are items as bytes, as they would stand in a page's `data`; `REJECTED` names those that can become
no job. All others carry the id `hostile-<name>` and must become exactly one job.
"""

from __future__ import annotations

import json
from typing import Any


def job(name: str, **members: Any) -> bytes:
    """A healthy job with these members put in."""
    base = {
        "id": f"hostile-{name}",
        "object": "video",
        "model": "sora-2",
        "status": "completed",
        "created_at": 1_700_000_000,
        "prompt": "a lighthouse",
        "size": "1280x720",
        "seconds": "8",
    }
    return json.dumps({**base, **members}).encode()


def spliced(name: str, member: bytes) -> bytes:
    """A healthy job with raw bytes as its last member."""
    return job(name)[:-1] + b"," + member + b"}"


REJECTED: dict[str, bytes] = {
    "null": b"null",
    "true": b"true",
    "number": b"42",
    "string": b'"video"',
    "list": b'[{"id":"inside"}]',
    "empty_object": b"{}",
    "empty_bytes": b"",
    "blank_bytes": b" \n ",
    "truncated": job("truncated")[:-7],
    "two_values": job("two") + job("values"),
    "byte_order_mark": b"\xef\xbb\xbf" + job("byte_order_mark"),
    "html": b"<html><body>Bad Gateway</body></html>",
    "single_quotes": b"{'id':'hostile'}",
    "trailing_comma": job("trailing_comma")[:-1] + b",}",
    "not_utf8": spliced("not_utf8", b'"note":"\xff\xfe"'),
    "not_utf8_key": spliced("not_utf8_key", b'"\x80":1'),
    "latin1": spliced("latin1", b'"prompt":"caf\xe9"'),
    "encoded_surrogate": spliced("encoded_surrogate", b'"prompt":"\xed\xa0\xbd"'),
    "utf16": job("utf16").decode().encode("utf-16"),
    "no_id": b'{"object":"video","model":"sora-2"}',
    "null_id": job("null_id", id=None),
    "empty_id": job("empty_id", id=""),
    "blank_id": job("blank_id", id="   "),
    "boolean_id": job("boolean_id", id=True),
    "float_id": job("float_id", id=1.5),
    "object_id": job("object_id", id={"native": "x"}),
    "long_id": job("long_id", id="x" * 513),
    "deep_lists": spliced("deep_lists", b'"deep":' + b"[" * 5000 + b"]" * 5000),
    "deep_objects": spliced("deep_objects", b'"deep":' + b'{"a":' * 64 + b"1" + b"}" * 64),
}

ACCEPTED: dict[str, bytes] = {
    "longest_id": job("longest_id", id="hostile-longest_id".ljust(512, "x")),
    "nearly_too_deep": spliced("nearly_too_deep", b'"deep":' + b"[" * 63 + b"]" * 63),
    "brackets_in_prompt": job("brackets_in_prompt", prompt="[" * 500 + "{" * 500),
    "nul_in_prompt": job("nul_in_prompt", prompt="before\0after"),
    "nul_in_key": job("nul_in_key", **{"odd\0key": 1}),
    "raw_nul": spliced("raw_nul", b'"prompt":"before\x00after"'),
    "control_characters": spliced("control_characters", b'"prompt":"bell\x07 tab\t line\n"'),
    "lone_high_surrogate": spliced("lone_high_surrogate", rb'"prompt":"half \uD83D pair"'),
    "lone_low_surrogate": spliced("lone_low_surrogate", rb'"prompt":"half \ude00 pair"'),
    "swapped_surrogates": spliced("swapped_surrogates", rb'"prompt":"\ude00\ud83d"'),
    "surrogate_in_key": spliced("surrogate_in_key", rb'"\ud800":1'),
    "surrogate_in_model": spliced("surrogate_in_model", rb'"model":"\udfff"'),
    "good_surrogate_pair": spliced("good_surrogate_pair", rb'"prompt":"\uD83D\uDE00"'),
    "escaped_escape": spliced("escaped_escape", rb'"prompt":"\\u0000 \\ud800"'),
    "noncharacters": spliced("noncharacters", rb'"prompt":"\uffff\ufffe\u202e\u200b"'),
    "nan": spliced("nan", b'"seconds":NaN,"cost":NaN'),
    "infinity": spliced("infinity", b'"progress":-Infinity,"cost":Infinity'),
    "huge_float": spliced("huge_float", b'"created_at":1e400,"cost":-1e400'),
    "tiny_float": spliced("tiny_float", b'"progress":1e-400,"cost":1e-320'),
    "huge_integer": spliced("huge_integer", b'"created_at":' + b"9" * 30 + b',"cost":' + b"9" * 5000),
    "64_bit_edges": spliced("64_bit_edges", b'"a":18446744073709551616,"b":-9223372036854775809'),
    "duplicate_keys": spliced("duplicate_keys", b'"model":"first","model":"last"'),
    "all_null": job(
        "all_null",
        **dict.fromkeys(
            ("object", "model", "status", "created_at", "prompt", "size", "seconds", "error", "progress")
        ),
    ),
    "all_empty": job(
        "all_empty", model="", status="", created_at=0, prompt="", size="", seconds="", error={}
    ),
    "all_numbers": job("all_numbers", object=1, model=2, status=3, prompt=4, size=5, seconds=6, error=7),
    "all_lists": job(
        "all_lists", object=[], model=[1], status=[2], created_at=[3], prompt=[4], size=[5], error=[6]
    ),
    "all_objects": job(
        "all_objects", model={"a": 1}, status={}, created_at={"b": 2}, prompt={"c": "d"}, seconds={"e": 3}
    ),
    "all_true": job("all_true", model=True, status=True, created_at=True, progress=True, seconds=True),
    "unknown_status": job("unknown_status", status="Moderation-Hold"),
    "odd_times": job("odd_times", created_at=-1, completed_at="yesterday", expires_at="9999-12-31T23:59:59Z"),
    "milliseconds": job("milliseconds", created_at=1_700_000_000_123),
    "iso_times": job(
        "iso_times", created_at="2023-11-14T22:13:20Z", completed_at="2023-11-15 01:00:00+02:30"
    ),
    "edge_of_time": job("edge_of_time", created_at="0001-01-01T00:00:00+14:00", expires_at=99_999_999_999),
    "zero_size": job("zero_size", size="0x-1"),
    "huge_size": job("huge_size", size="99999999999x1"),
    "odd_progress": job("odd_progress", progress=250, seconds="eight"),
    "arabic_digits": job("arabic_digits", seconds="٨", created_at="١٧٠٠٠٠٠٠٠٠"),
    "underscored_digits": job("underscored_digits", seconds="1_0", progress="1_0"),
    "string_error": job("string_error", error="boom", status=None),
    "nested_error": job("nested_error", error={"code": 7, "message": {"en": "boom"}, "inner": {"x": [1]}}),
    "sql": job("sql", prompt="'; DROP TABLE video_jobs; --", model='"x"\\'),
    "formula": job("formula", prompt='=HYPERLINK("http://x")', model="@SUM(1)"),
    "markup": job("markup", prompt="<script>alert(1)</script>"),
    "large_prompt": job("large_prompt", prompt="long " * 40_000),
    "long_key": job("long_key", **{"k" * 1000: 1}),
    "empty_key": job("empty_key", **{"": 1}),
    "many_keys": job("many_keys", **{f"key_{n}": n for n in range(500)}),
    "base64_video": job("base64_video", videos=[{"b64_json": "QUJD" * 10_000}]),
    "other_object": job("other_object", object="video.deleted"),
    "blanks_around": b" \r\n\t" + job("blanks_around") + b"\n ",
}

HOSTILE: dict[str, bytes] = {**ACCEPTED, **REJECTED}
