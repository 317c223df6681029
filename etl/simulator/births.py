"""How jobs began and ended, for whoever keeps a record of them: the gateway's log."""

from collections.abc import Iterator
from typing import NamedTuple

from etl.simulator.job_lives import Job, Life
from etl.simulator.job_store import Added, JobStore
from etl.simulator.wire import native_id, wire_id

SETTLED = ("completed", "failed", "cancelled", "expired", "rejected")


class Birth(NamedTuple):
    """Times are unix seconds."""

    id: str
    native: str
    created: float
    account: int
    job: Job  # as it was made, with native ids
    remixed: str | None  # the native id of the job it was made from
    settled: float | None
    outcome: str  # the status it settled with; "" while it is open


class Births:
    def __init__(self, store: JobStore, provider: str, shape: str) -> None:
        self._store, self._provider, self._shape = store, provider, shape

    def drawn(self, first: int, when: float) -> Iterator[tuple[Birth, float]]:
        """The drawn jobs from number `first` on that exist at `when`, and when each is deleted (inf: never).

        They may settle and be deleted later than that.
        """
        fate = self._store.fate
        for index in range(first, fate.made_by(when)):
            life = fate.life(index)
            yield self._born(life, fate.job(life, life.created)), life.deleted

    def by_hand(self) -> Iterator[Birth]:
        """The jobs put in by hand, as they stand now."""
        for ref in self._store.added:
            yield self.of(ref)

    def removed(self, first: int) -> Iterator[tuple[Birth, float]]:
        """What was deleted by hand, from deletion number `first` on, and when."""
        for when, ref in self._store.removed[first:]:
            yield self.of(ref), when

    def of(self, ref: int) -> Birth:
        if ref < 0:
            return self._put_in(ref, self._store.added[ref])
        life = self._store.fate.life(ref)
        return self._born(life, self._store.fate.job(life, life.created))

    def _born(self, life: Life, job: Job) -> Birth:
        id = wire_id(life.native, self._provider, self._shape)
        remixed = job.get("remixed_from_video_id")
        return Birth(id, life.native, life.created, life.account, job, remixed, life.settled, life.outcome)

    def _put_in(self, ref: int, added: Added) -> Birth:
        id, source = added.fields["id"], added.fields.get("remixed_from_video_id")
        native = self._native(id)
        job = {**added.fields, "id": native, "status": "queued", "progress": 0}
        settled, outcome = self._settled(ref, added)
        remixed = self._native(source) if source else None
        return Birth(id, native, added.place[0], added.account, job, remixed, settled, outcome)

    def _settled(self, ref: int, added: Added) -> tuple[float | None, str]:
        changes = [(added.since, added.fields), *self._store.changes.get(ref, ())]
        for when, change in changes:
            if isinstance(change, dict) and change.get("status") in SETTLED:
                return when, str(change["status"])
        return None, ""

    def _native(self, id: str) -> str:
        return native_id(id, self._provider, self._shape) or id
