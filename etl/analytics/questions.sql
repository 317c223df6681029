-- What did we spend on which model, on the last seven days with jobs?
SELECT model, currency, CAST(SUM(cost) AS DECIMAL(14, 2)) AS cost, SUM(jobs) AS jobs, SUM(uncosted_jobs) AS without_a_price
FROM daily_jobs
JOIN (SELECT DISTINCT day FROM daily_jobs ORDER BY day DESC LIMIT 7) AS week USING (day)
WHERE status = 'completed'
GROUP BY model, currency
ORDER BY model, currency;

-- What failed on the last seven days with failures, and why?
SELECT class, error_code, SUM(jobs) AS jobs, CAST(SUM(would_be_cost) AS DECIMAL(14, 2)) AS not_charged
FROM failures
JOIN (SELECT DISTINCT day FROM failures ORDER BY day DESC LIMIT 7) AS week USING (day)
GROUP BY class, error_code
ORDER BY jobs DESC, class, error_code;

-- What is stuck right now?
SELECT source, job_id, model, status, progress, age_seconds, expected_seconds
FROM open_jobs
WHERE is_stalled
ORDER BY age_seconds DESC, job_id;

-- How many jobs a day, and how many of them failed?
SELECT day, SUM(jobs) AS jobs, SUM(CASE WHEN status = 'failed' THEN jobs ELSE 0 END) AS failed
FROM daily_jobs
GROUP BY day
ORDER BY day;

-- Which model fails most often?
SELECT model, ROUND(100.0 * SUM(CASE WHEN status = 'failed' THEN jobs ELSE 0 END) / SUM(jobs), 1) AS percent_failed
FROM daily_jobs
WHERE status IN ('completed', 'failed')
GROUP BY model
ORDER BY percent_failed DESC, model;

-- How long does each model take?
SELECT source, provider, model, jobs, p50, p90, p95, p99
FROM latency_percentiles
ORDER BY p95 DESC, source, provider, model;

-- How long do jobs wait in the queue, and how sure is that?
SELECT model, COUNT(*) AS jobs, ROUND(AVG(queue_seconds)) AS queued, ROUND(AVG(queue_error_seconds)) AS give_or_take
FROM job_facts
WHERE queue_seconds IS NOT NULL
GROUP BY model
ORDER BY model;

-- At which hours of the day (UTC) are jobs made?
SELECT created_hour, COUNT(*) AS jobs
FROM job_facts
GROUP BY created_hour
ORDER BY created_hour;

-- Which single jobs were the most expensive?
SELECT job_id, model, size, seconds, cost, currency
FROM job_facts
WHERE cost IS NOT NULL
ORDER BY cost DESC, job_id
LIMIT 10;

-- Which completed jobs have no cost, and why?
SELECT model, resolution, cost_state, COUNT(*) AS jobs
FROM job_facts
WHERE status = 'completed' AND cost IS NULL
GROUP BY model, resolution, cost_state
ORDER BY jobs DESC, model, resolution, cost_state;

-- Which files can be downloaded for less than another day?
SELECT job_id, model, expires_at, seconds_left
FROM expiring_assets
WHERE seconds_left < 86400
ORDER BY expires_at, job_id;

-- Which ideas were remixed most, and what did the whole family cost?
SELECT root_job_id, jobs, depth, cost, currency, is_orphan
FROM remix_trees
ORDER BY jobs DESC, root_job_id
LIMIT 10;

-- Who is in the largest of these families?
SELECT depth, job_id, remixed_from_job_id, status, cost
FROM remix_jobs
WHERE root_job_id = (SELECT root_job_id FROM remix_trees ORDER BY jobs DESC, root_job_id LIMIT 1)
ORDER BY depth, job_id;

-- Which requests were made more than once, and what would a cache have saved?
SELECT model, size, seconds, prompt, jobs, avoidable_jobs, avoidable_cost, currency
FROM duplicate_requests
ORDER BY avoidable_jobs DESC, model, prompt
LIMIT 10;

-- How often did the gateway's cache serve a page?
SELECT day, source, lookups, hits, hit_rate
FROM cache_daily
ORDER BY day, source;

-- How fresh is each source, and did its last run succeed?
SELECT source, complete_at, age_seconds, last_run_status, last_error, open_jobs
FROM sync_freshness
ORDER BY source;

-- Is anything missing?
SELECT s.name AS source, g.kind, g.gap_from, g.gap_until, g.reason, g.accepted_at
FROM coverage_gaps g
JOIN sources s ON s.id = g.source_id
ORDER BY g.detected_at, s.name;

-- What did we know about the newest job when it was first seen? (Any other moment may be asked for.)
SELECT h.job_id, h.version, h.status, h.progress, h.valid_from, h.valid_to
FROM job_history h
JOIN video_jobs j ON j.source_id = h.source_id AND j.job_id = h.job_id
WHERE j.job_id = (SELECT job_id FROM video_jobs ORDER BY created_at DESC, job_id LIMIT 1)
  AND h.valid_from <= j.first_seen_at AND (h.valid_to > j.first_seen_at OR h.valid_to IS NULL);

-- Which jobs does the gateway no longer list, and why?
SELECT s.name AS source, j.job_id, j.status, j.unlisted_at, j.unlisted_reason
FROM video_jobs j
JOIN sources s ON s.id = j.source_id
WHERE j.unlisted_at IS NOT NULL
ORDER BY j.unlisted_at, j.job_id;

-- What could not be understood, and which fields are new?
SELECT 'reject' AS kind, reason AS what, SUM(times_seen) AS times FROM rejected_items GROUP BY reason
UNION ALL
SELECT 'field', path, SUM(count) FROM unknown_fields GROUP BY path
ORDER BY 1, 2;
