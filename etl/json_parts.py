"""How much a JSON text holds, found without decoding it: decoding is what costs a hundred times the text."""

from __future__ import annotations

import re
from itertools import islice

#: One bracket, brace or comma outside the texts, and what stands before it; the last one is the end.
_PART = re.compile(
    rb'[^",\[{]*+(?:"(?:[^"\\]++|\\.)*+"?[^",\[{]*+)*+(?:([,\[{])|\Z)',
    re.DOTALL,
)


def exceeds_parts(text: bytes, limit: int) -> bool:
    """Whether arrays, objects, members and elements are more than `limit` together.

    Counted are opening brackets, opening braces and commas, up to the limit. Nearly every text has
    fewer of them even with those inside its strings, which C counts at once.
    """
    if len(text) <= limit:
        return False
    if text.count(b",") + text.count(b"[") + text.count(b"{") <= limit:
        return False
    part = next(islice(_PART.finditer(text), limit, None), None)
    return part is not None and part[1] is not None
