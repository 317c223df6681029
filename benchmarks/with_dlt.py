"""The same with dlt: its REST source, merged by id.

python -m benchmarks.with_dlt BASE_URL TOKEN DATABASE_URL FOLDER
"""

from __future__ import annotations

import sys
from typing import Any

import dlt
from dlt.sources.rest_api import rest_api_source


def source(base_url: str, token: str) -> Any:
    paginator = {
        "type": "cursor",
        "cursor_path": "last_id",
        "cursor_param": "after",
        "has_more_path": "has_more",
    }
    videos = {
        "name": "jobs",
        "primary_key": "id",
        "write_disposition": "merge",
        "endpoint": {
            "path": "v1/videos",
            "params": {"provider": "openai", "limit": 100, "order": "asc"},
            "data_selector": "data",
        },
    }
    client = {"base_url": base_url, "auth": {"type": "bearer", "token": token}, "paginator": paginator}
    settings: Any = {"client": client, "resources": [videos]}
    return rest_api_source(settings)


def main(base_url: str, token: str, url: str, folder: str) -> int:
    made = dlt.destinations.sqlalchemy(url) if url.startswith("sqlite") else dlt.destinations.postgres(url)
    pipeline = dlt.pipeline("bench", destination=made, dataset_name="bench", pipelines_dir=folder)
    pipeline.run(source(base_url, token)).raise_on_failed_jobs()
    trace: Any = pipeline.last_trace
    count: int = trace.last_normalize_info.row_counts["jobs"]
    return count


if __name__ == "__main__":
    print(main(*sys.argv[1:5]))
