"""What a job costs: the price book resolved for the kinds of job that there are. SQL over video_jobs j.

A price is for a provider (or any), a model (a name, or a pattern in which * stands for any text) and a
resolution (or any), from a day on. Of several the imported one stands before the configured before the
published; then the more exact model, provider and resolution; then the newest. Jobs are of few kinds, so the
book is resolved once for each kind and stretch of time, and jobs are joined with that.
"""

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)

from __future__ import annotations

from datetime import UTC, datetime

from etl.schema.views.dialects import Dialect

#: Instants before any price and after any job: where a price has no end, or there is none.
_FIRST, _LAST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)

_SHORTER = "CASE WHEN {t}.width < {t}.height THEN {t}.width ELSE {t}.height END"
_NAMES = "CASE LOWER({t}.size) WHEN '4k' THEN '4k' WHEN '2160p' THEN '4k' WHEN 'uhd' THEN '4k' {same} END"
_P = "'p'"
_SAME = " ".join(f"WHEN '{name}' THEN '{name}'" for name in ("480p", "720p", "1024p", "1080p"))


def resolution_band(d: Dialect, t: str = "j") -> str:
    """The resolution band: the shorter side, or the name that stands instead of a size."""
    shorter, named = _SHORTER.format(t=t), _NAMES.format(t=t, same=_SAME)
    by_size = f"CASE {shorter} WHEN 2160 THEN '4k' ELSE {d.joined(shorter, _P)} END"
    return f"CASE WHEN {t}.width IS NULL OR {t}.height IS NULL THEN {named} ELSE {by_size} END"


def join_prices(d: Dialect, t: str, moment: str) -> str:
    """Joins that give `t` the price p in force for it at `moment`; p is null when there is none."""
    known = (
        f"r.model = {t}.model AND r.provider = COALESCE({t}.provider, '')"
        f" AND r.band = COALESCE({resolution_band(d, t)}, '')"
        f" AND {moment} >= r.valid_from AND {moment} < r.valid_until"
    )
    return f"""LEFT JOIN ({_price_rates(d)}
) r ON {known}
LEFT JOIN prices p ON p.id = CASE WHEN r.model IS NOT NULL THEN r.price_id
  WHEN {t}.model IS NOT NULL THEN ({_price_id(d, t, moment)}) END"""


def job_cost(d: Dialect, t: str) -> str:
    """What one job like `t` costs at p, once it is completed."""
    return f"CASE p.unit WHEN 'second' THEN {d.cost(f'{t}.seconds', 'p.price')} ELSE {d.money('p.price')} END"


def _price_rates(d: Dialect) -> str:
    """For each kind of job (its columns never null) and stretch of time the id of its price, or null."""
    first, last, of_job = d.instant(_FIRST), d.instant(_LAST), resolution_band(d)
    kind, same = (
        "k.provider, k.model, k.band",
        "m.provider = t.provider AND m.model = t.model AND m.band = t.band",
    )
    return f"""
  WITH kinds AS (
    SELECT DISTINCT COALESCE(j.provider, '') AS provider, j.model AS model, COALESCE({of_job}, '') AS band
    FROM job_kinds j WHERE j.model IS NOT NULL
  ), matching AS (
    SELECT {kind}, x.id, x.valid_from, ROW_NUMBER() OVER (ORDER BY {", ".join(_price_rank(d))}) AS strength
    FROM kinds k JOIN prices x ON {_resolution_fits(d, "k", "k.band")}
  ), turns AS (
    SELECT provider, model, band, valid_from FROM matching
    UNION SELECT provider, model, band, {first} FROM kinds
  )
  SELECT provider, model, band, valid_from, price_id,
    COALESCE(LEAD(valid_from) OVER (PARTITION BY provider, model, band ORDER BY valid_from), {last})
      AS valid_until
  FROM (
    SELECT t.provider, t.model, t.band, t.valid_from, m.id AS price_id, ROW_NUMBER() OVER (
      PARTITION BY t.provider, t.model, t.band, t.valid_from ORDER BY m.strength) AS place
    FROM turns t LEFT JOIN matching m ON {same} AND m.valid_from <= t.valid_from
  ) best WHERE place = 1"""


def _price_id(d: Dialect, t: str, moment: str) -> str:
    """For a kind that was not counted: somebody wrote the job by hand."""
    return (
        f"SELECT x.id FROM prices x"
        f" WHERE x.valid_from <= {moment} AND {_resolution_fits(d, t, resolution_band(d, t))}"
        f" ORDER BY {', '.join(_price_rank(d))} LIMIT 1"
    )


def _resolution_fits(d: Dialect, t: str, resolution: str) -> str:
    return (
        f"x.provider IN ('*', {t}.provider) AND {d.matches(f'{t}.model', 'x.model_pattern')}"
        f" AND x.resolution IN ('*', {resolution})"
    )


def _price_rank(d: Dialect) -> tuple[str, ...]:
    """What prices are ordered by, the strongest first."""
    bare = "REPLACE(x.model_pattern, '*', '')"
    return (
        "CASE x.origin WHEN 'import' THEN 0 WHEN 'config' THEN 1 ELSE 2 END",
        f"CASE WHEN {bare} = x.model_pattern THEN 0 ELSE 1 END",
        f"-{d.characters(bare)}",
        "CASE x.provider WHEN '*' THEN 1 ELSE 0 END",
        "CASE x.resolution WHEN '*' THEN 1 ELSE 0 END",
        "x.valid_from DESC",
        "x.id DESC",
    )
