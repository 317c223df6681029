"""The list of jobs of one team or user, on each database: by name, or by id where there is no name."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.jobs import Choice, count_jobs, list_jobs
from etl.db.engine import write_transaction
from etl.schema import migrate
from etl.schema.tables import job_requests
from tests.support.feed_history import Writer, add_source


def test_jobs_of_an_owner(engine: sa.Engine) -> None:
    migrate.upgrade_schema(engine)
    writer = Writer(engine, add_source(engine, "default"))
    run = writer.step(new=4, changes=0)
    row = {"source_id": 1, "run_id": run, "request_type": "video_generation", "status": "success"}
    row |= {"requested_at": writer.at, "first_seen_at": writer.at, "role": "made"}
    owners = ({"team_id": "t1", "team_name": "Red"}, {"team_id": "t2"}, {"user_name": "Red"})
    with write_transaction(engine) as conn:
        for number, owner in enumerate(owners, 1):
            own = {"request_id": f"r{number}", "job_id": f"video_1_{number:07d}", "request_seq": 100 + number}
            conn.execute(sa.insert(job_requests).values(**row, **own, **owner))

    def ids(*owner: str, hours: int = 1) -> list[str]:
        ranged = Filter(writer.at, until=writer.at + timedelta(hours=hours))
        choice = Choice(ranged, owner=(owner[0], owner[1]))
        rows = list_jobs(engine, choice, 0, 10).rows
        assert count_jobs(engine, choice) == len(rows)
        return [row[1] for row in rows]

    assert ids("team", "Red") == ["video_1_0000001"]
    assert ids("team", "t1") == [], "a team that has a name goes by it"
    assert ids("team", "t2") == ["video_1_0000002"]
    assert ids("user_name", "Red") == ["video_1_0000003"]
    assert ids("team", "Red' OR '1'='1") == []
    assert ids("team", "Red", hours=-10_000) == []
