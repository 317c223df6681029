"""DuckDB's SQL for every report and view, over the tables of `independent_world`.

Of the jobs chosen it sees `job`; of the log's requests for no job in the same range `lonely`. `owned` is
`job` with who asked for it. Money is to the millionth, day and hour are those of {zone}.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.analytics.independent_world import DAY, HOUR, NOW

_KINDS = ("virtual_key", "team", "customer", "user", "business_unit")


def _owner(kind: str, *aliases: str) -> str:
    name = "user_name" if kind == "user" else kind
    parts = ", ".join(f'{alias}."{kind}_{part}"' for alias in aliases for part in ("name", "id"))
    return f"COALESCE({parts}) AS {name}"


def chosen_jobs(where: str) -> str:
    of = ", ".join(_owner(kind, "mk", "st", "pl") for kind in _KINDS)
    alone = ", ".join(_owner(kind, "r") for kind in _KINDS)
    joins = " ".join(
        f"LEFT JOIN request {alias} ON {alias}.job_id = e.id AND {alias}.role = '{role}'"
        for alias, role in (("mk", "made"), ("st", "settled"), ("pl", "polled"))
    )
    estimate = "CASE WHEN e.status = 'completed' THEN mk.cost END"
    return f"""
CREATE OR REPLACE VIEW job AS SELECT * FROM everything WHERE {where};
CREATE OR REPLACE VIEW owned AS
SELECT e.*, {of}, COALESCE(st.cost, {estimate}) AS settled_cost,
  CASE WHEN st.cost IS NOT NULL THEN 'settled' WHEN {estimate} IS NOT NULL THEN 'at creation' END
    AS settled_by,
  CASE WHEN mk.request_id IS NOT NULL THEN 'made' WHEN st.request_id IS NOT NULL THEN 'settled'
    WHEN pl.request_id IS NOT NULL THEN 'polled' END AS told_by
FROM job e {joins};
CREATE OR REPLACE VIEW lonely AS
SELECT * FROM (SELECT r.requested_at AS created, r.provider, r.model, r.status, r.cost, {alone}
  FROM request r WHERE r.job_id IS NULL) WHERE {where}"""


def _others(amount: str) -> str:
    """Each currency but dollars by itself, in words."""
    each = (
        f"'{currency} ' || rtrim(rtrim(SUM({amount}) FILTER (currency = '{currency}')::VARCHAR, '0'), '.')"
        for currency in ("EUR", "JPY")
    )
    return f"NULLIF(concat_ws(', ', {', '.join(each)}), '')"


COUNTS = f"""COUNT(*), COUNT(*) FILTER (outcome = 'completed'), COUNT(*) FILTER (outcome = 'failed'),
  COUNT(*) FILTER (outcome = 'stopped'), COUNT(*) FILTER (outcome = 'open'),
  COUNT(*) FILTER (outcome = 'vanished'),
  COUNT(*) FILTER (outcome = 'failed')
    / NULLIF(COUNT(*) FILTER (outcome IN ('failed', 'completed')), 0),
  SUM(seconds) FILTER (outcome = 'completed'), SUM(cost) FILTER (currency = 'USD'), {_others("cost")},
  COUNT(*) FILTER (outcome = 'completed' AND cost IS NULL)"""
_LATENCY = """SELECT 'main', provider, model, COUNT(*), MIN(took), quantile_disc(took, 0.5),
  quantile_disc(took, 0.9), quantile_disc(took, 0.95), quantile_disc(took, 0.99), MAX(took)
  FROM job WHERE outcome = 'completed' AND took >= 0 GROUP BY ALL"""
#: What it cost at the price of the day of the last of them, once it was delivered a second time.
_DUPLICATES = """SELECT provider, model, size, seconds, prompt, jobs, done, GREATEST(done - 1, 0) AS spare,
    seconds * spare, each * spare, named, since, until
  FROM (SELECT provider, model, size, seconds, prompt, COUNT(*) AS jobs,
      COUNT(*) FILTER (outcome = 'completed') AS done, arg_max(would_be, created) AS each,
      arg_max(currency, created) AS named, MIN(created) AS since, MAX(created) AS until
    FROM job WHERE prompt <> '' GROUP BY ALL HAVING COUNT(*) > 1)"""
_CLASS = "CASE lower(error_code) WHEN 'server_error' THEN 'provider_fault' ELSE 'moderation' END"
_STATE = """CASE WHEN status = 'completed' AND price IS NULL THEN 'unpriced'
  WHEN status = 'completed' AND seconds IS NULL AND unit = 'second' THEN 'unknown'
  WHEN status = 'completed' THEN 'billed'
  WHEN outcome IN ('failed', 'stopped') THEN 'failed' WHEN gone THEN 'unknown' ELSE 'open' END"""
#: Trees of everything; a report chooses those that have a remix among the chosen jobs.
_MEMBERS = """WITH RECURSIVE up(id, top, depth) AS (
    SELECT id, parent, 1 FROM everything WHERE parent IS NOT NULL
    UNION ALL SELECT up.id, e.parent, depth + 1 FROM up JOIN everything e ON e.id = up.top
    WHERE e.parent IS NOT NULL),
  far AS (SELECT id, arg_max(top, depth) AS root, MAX(depth) AS depth FROM up GROUP BY id),
  kept AS (SELECT * FROM far WHERE root IN (SELECT root FROM far JOIN job USING (id))),
  member AS (SELECT * FROM kept UNION ALL
    SELECT DISTINCT root, root, 0 FROM kept WHERE root IN (SELECT id FROM everything))"""
_TREES = f"""{_MEMBERS}
SELECT root, NOT bool_or(depth = 0), COUNT(*), MAX(depth), SUM(seconds),
  CASE WHEN COUNT(DISTINCT currency) = 1 THEN SUM(cost) END,
  CASE WHEN COUNT(DISTINCT currency) = 1 THEN MAX(currency) END,
  COUNT(*) FILTER (status = 'completed' AND cost IS NULL), MIN(created), MAX(created)
FROM member JOIN everything USING (id) GROUP BY root"""
#: Of jobs like an open one: same model, size and length, or at least the model.
_OPEN = """WITH done AS (SELECT * FROM everything WHERE status = 'completed' AND took >= 0),
  alike AS (SELECT model, size, seconds, quantile_disc(took, 0.5) AS half, COUNT(*) AS n
    FROM done GROUP BY ALL),
  same AS (SELECT model, quantile_disc(took, 0.5) AS half, COUNT(*) AS n FROM done GROUP BY ALL),
  o AS (SELECT job.*, COALESCE(alike.half, same.half) AS half, COALESCE(alike.n, same.n) AS compared,
      CASE WHEN alike.n > 0 THEN 'same model, size and length' WHEN same.n > 0 THEN 'same model' END AS how,
      created + to_seconds(COALESCE(alike.half, same.half)) AS due
    FROM job LEFT JOIN alike USING (model, size, seconds) LEFT JOIN same ON same.model = job.model
    WHERE outcome = 'open')
"""
_AGE = f"epoch(TIMESTAMPTZ '{NOW.isoformat()}') - epoch(created)"
_EXPIRING = "FROM job WHERE status = 'completed' AND NOT gone AND expires >"
_CACHE = """SELECT CAST(timezone('{zone}', began) AS DATE) AS day, 'main', COUNT(*), COUNT(*) FILTER (hit),
  COUNT(*) FILTER (hit AND debug->>'hit_type' = 'direct'),
  COUNT(*) FILTER (hit AND debug->>'hit_type' = 'semantic'), COUNT(*) FILTER (hit) / COUNT(*),
  SUM(CAST(debug->>'input_tokens' AS BIGINT)), AVG(CAST(debug->>'similarity' AS DOUBLE))
  FROM page JOIN scan ON number = scan WHERE {when} GROUP BY day"""
_WHOLE = "(SELECT COUNT(*) FROM job) = (SELECT COUNT(*) FROM everything)"
_FRESH = (
    "SELECT 'main', 'openai', 'reconcile', 'ok', 0, COUNT(*) FILTER (outcome = 'open'), 0, 0 FROM everything"
)

REPORTS = {
    "totals": f"SELECT {COUNTS} FROM job",
    "daily": f"SELECT {DAY}, {COUNTS} FROM job GROUP BY 1",
    "usage": f"SELECT {DAY}, provider, model, {COUNTS} FROM job GROUP BY ALL",
    "weekly": f"SELECT CAST(date_trunc('week', {DAY}) AS DATE), {COUNTS} FROM job GROUP BY 1",
    "monthly": f"SELECT CAST(date_trunc('month', {DAY}) AS DATE), {COUNTS} FROM job GROUP BY 1",
    "hourly": f"SELECT {HOUR}, {COUNTS} FROM job GROUP BY 1",
    "minutely": f"SELECT date_trunc('minute', created), {COUNTS} FROM job GROUP BY 1",
    "models": f"SELECT provider, model, {COUNTS} FROM job GROUP BY ALL",
    "cost": """SELECT provider, model, currency, COUNT(*), SUM(seconds), SUM(cost),
      COUNT(*) FILTER (cost IS NULL) FROM job WHERE outcome = 'completed' GROUP BY ALL""",
    "latency": _LATENCY,
    "duplicates": _DUPLICATES,
    "failures": f"""SELECT {_CLASS}, error_code, error_message, COUNT(*), SUM(seconds),
      SUM(would_be) FILTER (currency = 'USD'), {_others("would_be")}, MAX(created)
      FROM job WHERE outcome = 'failed' GROUP BY ALL""",
    "remixes": _TREES,
    "jobs": f"""SELECT 'main', id, provider, model, status, size, seconds, created, took, cost, currency,
      {_STATE},
      error_code, error_message, gone FROM job""",
    "slowest": """SELECT 'main', id, provider, model, size, seconds, created, completed, took
      FROM job WHERE outcome = 'completed' AND took >= 0""",
    "open": f"""{_OPEN} SELECT 'main', id, model, size, seconds, status, progress, created, {_AGE}, half, due,
      {_AGE} > 900, {_AGE} > 3600 FROM o""",
    "expiring": f"""SELECT 'main', id, provider, model, size, seconds, prompt, completed, expires,
      epoch(expires) - epoch(TIMESTAMPTZ '{NOW.isoformat()}'), cost, currency
      {_EXPIRING} TIMESTAMPTZ '{NOW.isoformat()}'""",
    "cache": _CACHE.replace("{when}", _WHOLE),
    "freshness": _FRESH,
    "reconcile-cost": """SELECT provider, model, '720p', COUNT(*), SUM(seconds), SUM(settled_cost) AS told,
      CASE WHEN COUNT(*) FILTER (currency = 'USD' AND cost IS NOT NULL) = COUNT(*) THEN SUM(cost) END AS ours,
      told - ours, ROUND(told / NULLIF(SUM(seconds), 0), 6),
      CASE WHEN ours IS NULL THEN 'no price' WHEN ABS(told - ours) <= 0.02 * told THEN 'agrees'
        WHEN told > ours THEN 'price too low' ELSE 'price too high' END
      FROM owned WHERE outcome = 'completed' AND settled_cost IS NOT NULL GROUP BY ALL""",
}
#: Those that no model or status cuts, or not by the job's.
OF_NO_MODEL = {"freshness", "cache"}
#: Those that tell of now, whatever the range.
OF_NOW = {"open", "expiring", "freshness"}
#: Columns that are compared; all where none are named.
COMPARED = {
    "duplicates": "provider model size seconds prompt jobs completed_jobs avoidable_jobs avoidable_seconds "
    "avoidable_cost currency first_created_at last_created_at",
    "remixes": "root_job_id is_orphan jobs depth seconds cost currency uncosted_jobs first_created_at "
    "last_created_at",
    "freshness": "source provider last_run_kind last_run_status failures open_jobs rejects gaps",
}


def spend_sql(keys: Sequence[str]) -> str:
    spans = {
        "hour": HOUR,
        "day": DAY,
        "week": f"CAST(date_trunc('week', {DAY}) AS DATE)",
        "month": f"CAST(date_trunc('month', {DAY}) AS DATE)",
    }
    job = ", ".join(f"{spans.get(key, key)} AS {key}" for key in keys if key != "source")
    alone = ", ".join(f"{spans.get(key, key)} AS {key}" for key in keys if key not in ("source", "size"))
    of = ", ".join(
        part
        for part in (
            "'main' AS source" if "source" in keys else "",
            "NULL AS size" if "size" in keys else "",
            alone,
        )
        if part
    )
    job = ", ".join(part for part in ("'main' AS source" if "source" in keys else "", job) if part)
    return f"""
SELECT {", ".join(keys)}, COUNT(id), COUNT(*) FILTER (outcome = 'completed'),
  COUNT(*) FILTER (outcome = 'failed'), COUNT(*) FILTER (outcome = 'failed')
    / NULLIF(COUNT(*) FILTER (outcome IN ('failed', 'completed')), 0),
  SUM(seconds) FILTER (outcome = 'completed'), SUM(spent) FILTER (currency = 'USD'), {_others("spent")},
  COUNT(settled_cost), COUNT(*) FILTER (outcome = 'completed' AND spent IS NULL),
  ROUND(AVG(took) FILTER (took >= 0 AND outcome = 'completed'), 3),
  COUNT(*) FILTER (how = 'error'), COUNT(*) FILTER (how = 'success'),
  SUM(unnamed) FILTER (how = 'success')
FROM (
  SELECT {job}, id, outcome, seconds, took, settled_cost, COALESCE(settled_cost, cost) AS spent,
    CASE WHEN settled_cost IS NOT NULL THEN 'USD' ELSE currency END AS currency, NULL AS how, NULL AS unnamed
  FROM owned
  UNION ALL BY NAME SELECT {of}, NULL AS id, status AS how, cost AS unnamed FROM lonely
) GROUP BY ALL"""


def grouped_sql(name: str, keys: Sequence[str]) -> str:
    """The reports that `--by` adds up, but for spend."""
    spans = {"hour": HOUR, "day": DAY, "source": "CASE WHEN id <> '' THEN 'main' END"}
    spans |= {span: f"CAST(date_trunc('{span}', {DAY}) AS DATE)" for span in ("week", "month")}
    what, where = _GROUPED[name]
    made = ", ".join(f"{spans.get(key, key)} AS {key}" for key in keys)
    return f"SELECT {made}, {what} FROM owned WHERE {where} GROUP BY ALL"


_GROUPED = {
    "totals": (COUNTS, "true"),
    "cost": (
        "currency, COUNT(*), SUM(seconds), SUM(cost), COUNT(*) FILTER (cost IS NULL)",
        "outcome = 'completed'",
    ),
    "failures": (
        f"{_CLASS}, COUNT(*), SUM(seconds), SUM(would_be) FILTER (currency = 'USD'), {_others('would_be')},"
        " MAX(created)",
        "outcome = 'failed'",
    ),
    "latency": (
        "COUNT(*), MIN(took), quantile_disc(took, 0.5), quantile_disc(took, 0.9), quantile_disc(took, 0.95),"
        " quantile_disc(took, 0.99), MAX(took)",
        "outcome = 'completed' AND took >= 0",
    ),
}

VIEWS = {
    "job_facts": f"""SELECT id, provider, model, status, prompt, seconds, created, completed, expires,
      outcome,
      took, CAST(timezone('UTC', created) AS DATE), hour(timezone('UTC', created)), price, currency, cost,
      {_STATE}, gone, virtual_key, team, customer, user_name, business_unit, told_by,
      settled_cost, settled_by,
      CASE WHEN took IS NOT NULL THEN took > 900 WHEN outcome = 'open' THEN true END, '720p'
      FROM owned""",
    "daily_jobs": """SELECT CAST(timezone('UTC', created) AS DATE), model, size, status, outcome, currency,
      COUNT(*), SUM(seconds), SUM(cost), COUNT(*) FILTER (status = 'completed' AND cost IS NULL)
      FROM job GROUP BY ALL""",
    "latency_percentiles": _LATENCY,
    "duplicate_requests": _DUPLICATES,
    "failures": f"""SELECT CAST(timezone('UTC', created) AS DATE), model, size, {_CLASS}, error_code,
      error_message, currency, COUNT(*), SUM(seconds), SUM(would_be), MAX(created)
      FROM job WHERE outcome = 'failed' GROUP BY ALL""",
    "remix_trees": _TREES,
    "remix_jobs": f"""{_MEMBERS} SELECT root, id, parent, member.depth, model, status, seconds, created, cost,
      currency FROM member JOIN everything USING (id)""",
    "open_jobs": f"{_OPEN} SELECT id, model, size, seconds, status, progress, prompt, created, half, how,"
    " compared, due FROM o",
    "expiring_assets": f"SELECT id, model, prompt, completed, expires, cost, currency {_EXPIRING} now()",
    "cache_daily": _CACHE.replace("{zone}", "UTC").replace("{when}", "true"),
    "sync_freshness": _FRESH,
    "job_history": """WITH each AS (SELECT item->>'id' AS id, scan, arg_max(item, page) AS item
        FROM shown GROUP BY ALL),
      pair AS (SELECT a.id, a.item->>'status' AS was, b.item->>'status' AS now, b.id IS NULL AS gone,
          b.id IS NULL OR a.item <> b.item AS changed
        FROM each a LEFT JOIN each b ON b.id = a.id AND b.scan = 1 WHERE a.scan = 0)
      SELECT id, 1, 'insert', NOT changed, was FROM pair
      UNION ALL SELECT id, 2, CASE WHEN gone THEN 'unlist' ELSE 'update' END, true, COALESCE(now, was)
      FROM pair WHERE changed""",
}
VIEW_COLUMNS = {
    "job_facts": "job_id provider model status prompt seconds created_at completed_at expires_at outcome "
    "total_seconds created_day created_hour price currency cost cost_state is_unlisted virtual_key team "
    "customer user_name business_unit owner_source settled_cost settled_cost_source is_late resolution",
    "daily_jobs": "day model size status outcome currency jobs seconds cost uncosted_jobs",
    "latency_percentiles": "source provider model jobs fastest p50 p90 p95 p99 slowest",
    "duplicate_requests": COMPARED["duplicates"],
    "failures": "day model size class error_code error_message currency jobs wasted_seconds would_be_cost "
    "last_created_at",
    "remix_trees": COMPARED["remixes"],
    "remix_jobs": "root_job_id job_id remixed_from_job_id depth model status seconds created_at cost "
    "currency",
    "open_jobs": "job_id model size seconds status progress prompt created_at expected_seconds compared_with "
    "compared_jobs expected_at",
    "expiring_assets": "job_id model prompt completed_at expires_at cost currency",
    "cache_daily": "day source lookups hits direct_hits semantic_hits hit_rate input_tokens "
    "average_similarity",
    "sync_freshness": COMPARED["freshness"],
    "job_history": "job_id version op is_current status",
}
