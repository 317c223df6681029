"""What a history keeps from one look to the next, and shares with that of an undisturbed twin."""

from __future__ import annotations

from harness.truth import Tables, shown


class Archive:
    """Versions as they once were: none may be rewritten or vanish."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def check(self, tables: Tables) -> list[str]:
        """What of the versions seen by earlier calls is no longer as it was."""
        now = {row.change_seq: hash(tuple(row)) for row in tables.rows("video_job_versions", "change_seq")}
        said = [f"version {seq} was rewritten" for seq, told in self._known.items() if now.get(seq) != told]
        self._known = now
        return said


def same_story(ours: Tables, twin: Tables) -> list[str]:
    """The undisturbed twin's versions all stand in ours, in the same order; ours may have seen more."""
    mine = {job_id: [shown(row) for row in versions] for job_id, versions in ours.histories()}
    said = []
    for job_id, versions in twin.histories():
        told = iter(mine.get(job_id, []))
        missing = [row.version for row in versions if row.op != "unlist" and shown(row) not in told]
        if missing:
            said.append(f"{job_id}: the undisturbed twin saw its versions {missing}, we did not")
    return said
