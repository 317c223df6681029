"""What runs found out about how a source's list behaves, as `sync_state.learned` keeps it."""

from __future__ import annotations

from typing import Any

import msgspec


class Learned(msgspec.Struct, frozen=True, omit_defaults=True):
    """`accounts`: the gateway's keys whose answers are of the account that this source mirrors.
    `other_accounts`: keys of other accounts that have answered.
    `cursors_apart`: an item's id is no cursor, only `last_id` is. `inclusive`: a page begins with the job
    that it was asked behind. `window`: the list only shows its newest page. `moves_by_id`: a job's status in
    the list moves only when the job is read by id.
    `log_read`: when the gateway's log was last read to its end, unix seconds of the gateway's clock.
    `profile`: the kind of server that `profile: auto` turned out to be, where it is asked unlike Bifrost.
    `more_unsaid`: it says `has_more: false` whatever follows.
    `several`: in how many runs in a row one account only must answer before several are forgotten; None where
    nobody has asked who answers.
    `no_passthrough`: since when the gateway is known to have no passthrough, unix seconds of our clock.
    `details`: between which changes, by change_seq, ended jobs are queued to be read by id."""

    accounts: tuple[str, ...] = ()
    other_accounts: tuple[str, ...] = ()
    cursors_apart: bool = False
    inclusive: bool = False
    window: bool = False
    moves_by_id: bool = False
    log_read: int | None = None
    profile: str | None = None
    details: tuple[int, int] | None = None
    several: int | None = None
    more_unsaid: bool = False
    no_passthrough: int | None = None

    def but(self, **found: Any) -> Learned:
        """A copy that also holds what was found out since."""
        return msgspec.structs.replace(self, **found)

    def elsewhere(self) -> Learned:
        """What still holds at another address: whose jobs are stored, and our own queue."""
        return Learned(accounts=self.accounts, other_accounts=self.other_accounts, details=self.details)

    def as_text(self) -> str | None:
        return None if self == Learned() else msgspec.json.encode(self).decode()


def from_text(text: str | None) -> Learned:
    """What a later program has learned besides is passed over."""
    return Learned() if text is None else msgspec.json.decode(text, type=Learned)
