"""The yardstick R: page through all with requests and the standard JSON decoder, store nothing.

python -m benchmarks.yardstick BASE_URL TOKEN
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import requests


def pages(base_url: str, token: str) -> Iterator[dict[str, Any]]:
    """Every page, oldest first."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    ask = {"provider": "openai", "limit": "100", "order": "asc"}
    while True:
        answer = session.get(f"{base_url}/v1/videos", params=ask, timeout=(10, 60), allow_redirects=False)
        answer.raise_for_status()
        page = json.loads(answer.content)
        yield page
        if not page["has_more"]:
            return
        ask["after"] = page["last_id"]


if __name__ == "__main__":
    print(sum(len(page["data"]) for page in pages(*sys.argv[1:3])))
