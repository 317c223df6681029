"""What a shell is offered after Tab."""

from __future__ import annotations

import pytest

from tests.support.command import Command

CONFIG = """\
database: {url: 'sqlite:///etl.db'}
sources:
  - {name: east, base_url: 'http://127.0.0.1:1', api_key: x, provider: openai}
  - {name: west, base_url: 'http://127.0.0.1:1', api_key: '${NOT_SET}', provider: openai}
feed: {destinations: [{name: lake, type: filesystem, url: lake}]}
"""


def offered(command: Command, line: str) -> list[str]:
    words = line.split(" ")
    done = command(_BIFROST_ETL_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert done.err == ""
    return done.out.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bifrost-etl re", ["reconcile", "report", "record"]),
        ("bifrost-etl sync ", ["east", "west"]),
        ("bifrost-etl --config other.yaml sync w", ["west2"]),
        ("bifrost-etl source retire e", ["east"]),
        ("bifrost-etl report late", ["latency"]),
        ("bifrost-etl report models --format ma", ["markdown"]),
        ("bifrost-etl report --source we", ["west"]),
        ("bifrost-etl export out --table so", ["sources"]),
        ("bifrost-etl feed ", ["lake", "status", "verify"]),
        ("bifrost-etl history video", []),  # nothing is stored, and nothing is made
    ],
)
def test_names_are_offered(command: Command, line: str, expected: list[str]) -> None:
    (command.folder / "bifrost-etl.yaml").write_text(CONFIG)
    (command.folder / "other.yaml").write_text(CONFIG.replace("west", "west2"))
    assert offered(command, line) == expected
    assert not (command.folder / "etl.db").exists()


def test_without_a_configuration_nothing_is_said(command: Command) -> None:
    assert offered(command, "bifrost-etl sync ") == []


def test_ids_of_jobs_are_offered(configured: Command) -> None:
    assert configured("sync").code == 0
    ids = configured("sql", "--format", "csv", "SELECT job_id FROM video_jobs ORDER BY 1 LIMIT 1").out.split()
    known = ids[1].partition(":")[0]
    found = offered(configured, f"bifrost-etl history {known[:-1]}")
    assert known in found and not [each for each in found if ":" in each]
    assert configured("history", known).code == 0
