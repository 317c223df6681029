"""What a strict decoder refuses is cut into pieces that keep their bytes."""

from __future__ import annotations

import pytest

from etl.extract.json_cutter import Garbled, cut_object

DEEP = b"[" * 100_000 + b'"]\\"]' + b'"' + b"]" * 100_000


@pytest.mark.parametrize(
    "element",
    [
        b"NaN",
        b'"\t \x01"',
        rb'"\ud800"',
        b'{"a":"\xff"}',
        b"9" * 10_000,
        b"1e999999",
        DEEP,
        b'{"a": ' + DEEP + b' , "]": 1 }',
        "🎬 é".encode().join([b'"', b'"']),
    ],
    ids=repr,
)
def test_an_element_keeps_its_bytes_and_costs_no_neighbour(element: bytes) -> None:
    body = b'\xef\xbb\xbf { "first" : 1 ,"list":[ {"id":"a"} ,' + element + b' , {} ], "last":"\xc3\xa9"}\n'
    assert cut_object(body, "list") == (
        {"first": b"1", "last": b'"\xc3\xa9"'},
        [b'{"id":"a"}', element, b"{}"],
    )


@pytest.mark.parametrize(
    ("body", "members", "elements"),
    [
        (b"{}", {}, None),
        (b'{"list":[]}', {}, []),
        (b'{"list":null}', {"list": b"null"}, None),
        (rb'{"l\u0069st":[NaN]}', {}, [b"NaN"]),
        (b'{"\xc3\xa9":{"list":[1]}}', {"é": b'{"list":[1]}'}, None),
        (b'{"a":[1,2],"list":[[3]]}', {"a": b"[1,2]"}, [b"[3]"]),
    ],
)
def test_members_are_told_by_name(
    body: bytes, members: dict[str, bytes], elements: list[bytes] | None
) -> None:
    assert cut_object(body, "list") == (members, elements)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no '{' at byte 0"),
        (b"[NaN]", "no '{' at byte 0"),
        (b"{", "not JSON"),
        (b'{"a', "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b"{1:2}", "no name of a member before byte 2"),
        (b'{"a" 1}', "no ':' at byte 5"),
        (b'{"a":1 "b":2}', "no ',' at byte 7"),
        (b'{"list":[1,]}', "not JSON"),
        (b'{"list":[,1]}', "not JSON"),
        (b'{"list":[1}', "no ',' at byte 10"),
        (b'{"list":[{"id":"a"},{"id":"b]}', "not JSON"),
        (b'{"list":[' + b"[" * 100_000, "truncated"),
        (b'{"list":[' + b"[" * 100_000 + b'"' + b'\\"' * 100_000, "truncated"),
        (b'{"a":1} {', "it ends at byte 8"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_object_is_told(body: bytes, why: str) -> None:
    with pytest.raises(Garbled, match=why):
        cut_object(body, "list")
