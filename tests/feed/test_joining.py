"""Which files of a Delta table are joined while it is fed."""

from __future__ import annotations

from etl.feed.sinks import delta_upkeep


def test_most_of_a_table_is_not_written_anew_while_it_is_fed() -> None:
    """A history of 1 MB with six files of 300 KB was joined whole, and then lay there twice."""
    target = 2 * 2**20
    assert delta_upkeep.size_to_join([1_000_000, *[300_000] * 6], target) is None
    assert delta_upkeep.size_to_join([*[3_000_000] * 4, *[300_000] * 6], target) == target
    assert delta_upkeep.size_to_join([1_000_000, *[40_000] * 6], target) == 256 * 1024
