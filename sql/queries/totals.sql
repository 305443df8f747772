-- The ledger, counted.

-- name: count_quietly()^
-- For this transaction: a count is nobody's emergency, so it takes one process, not all of them. And it hashes: Postgres takes the groups
-- below for as many as there are logins, and would sort a large ledger through temporary files every time.
SELECT set_config('max_parallel_workers_per_gather', '0', true), set_config('enable_sort', 'off', true);

-- name: cube(now)
-- One scan: the logins grouped by all that a metric tells apart, a few hundred rows at most. A leak is an inactive login that is not
-- confirmed off, or that Flinks says is on again. What is saved counts from when a login became `disabled`: a repetition of the
-- disable confirms it anew and leaves the verdict as it was.
WITH sorted AS (
    SELECT
        login.verdict, login.active, login.stale, login.listed_since IS NOT NULL AS listed, login.refreshed_at, login.inactive_since,
        CASE WHEN login.verdict = 'disabled' THEN login.verdict_since END AS saving_since,
        CASE WHEN login.verdict IN ('failed', 'reconnect', 'quarantined') AND login.active THEN login.error_code END AS error_code,
        CASE WHEN login.verdict IN ('failed', 'reconnect', 'quarantined') AND login.active THEN login.disposition END AS disposition,
        CASE
            WHEN NOT login.active THEN NULL
            WHEN login.refreshed_at IS NULL THEN 'never'
            WHEN :now::timestamptz - login.refreshed_at < interval '1 day' THEN 'lt_1d'
            WHEN :now - login.refreshed_at < interval '2 days' THEN '1d_2d'
            WHEN :now - login.refreshed_at < interval '3 days' THEN '2d_3d'
            WHEN :now - login.refreshed_at < interval '6 days' THEN '3d_6d'
            WHEN :now - login.refreshed_at < interval '7 days' THEN '6d_7d'
            ELSE 'ge_7d'
        END AS refresh_age,
        CASE
            WHEN login.active THEN NULL
            WHEN login.flag = 'on' OR login.listed_since IS NOT NULL THEN 'enabled'
            WHEN login.confirmed_off_at IS NOT NULL THEN 'disabled'
            ELSE 'unknown'
        END AS schedule
    FROM login
)
SELECT
    sorted.verdict, sorted.active, sorted.stale, sorted.listed, sorted.error_code, sorted.disposition, sorted.refresh_age,
    sorted.schedule,
    count(*) AS logins,
    min(sorted.refreshed_at) FILTER (WHERE sorted.active) AS oldest_refresh_at,
    min(sorted.inactive_since) FILTER (WHERE sorted.schedule <> 'disabled') AS oldest_leak_at,
    COALESCE(sum(GREATEST(extract(epoch FROM :now - sorted.inactive_since), 0)) FILTER (WHERE sorted.schedule <> 'disabled'), 0)
        ::double precision / 86400 AS leaking_days,
    COALESCE(sum(GREATEST(extract(epoch FROM :now - sorted.saving_since), 0)), 0)::double precision / 86400 AS saved_days
FROM sorted
GROUP BY
    sorted.verdict, sorted.active, sorted.stale, sorted.listed, sorted.error_code, sorted.disposition, sorted.refresh_age, sorted.schedule;

-- name: beside()^
-- What stands beside the logins: members of plans that wait for approval, orphans, and when the newest report was read.
SELECT
    (
        SELECT count(*) FROM login JOIN plan ON plan.plan_id = login.plan_id WHERE plan.state = 'held'
    ) AS held,
    (
        SELECT count(*) FROM orphan WHERE NOT EXISTS (SELECT FROM login WHERE login.login_id = orphan.login_id)
    ) AS orphans,
    (SELECT landmark.reported_at FROM landmark) AS reported_at,
    (SELECT count(*) FROM institution WHERE institution.state = 'down') AS institutions_held,
    (
        SELECT finished_at
        FROM reconcile_pass
        WHERE finished_at IS NOT NULL AND failure IS NULL
        ORDER BY pass_id DESC
        LIMIT 1
    ) AS succeeded_at;

-- name: institutions(limit)
-- The logins that Flinks bills, by what their refresh is worth, of the institutions with the most of them; all others under NULL.
WITH billed AS (
    SELECT
        institution,
        CASE
            WHEN refreshed_at IS NULL THEN 'never'
            WHEN stale OR listed_since IS NOT NULL OR verdict IN ('failed', 'reconnect', 'quarantined') THEN 'failing'
            ELSE 'succeeding'
        END AS refresh,
        count(*) AS logins
    FROM login
    WHERE flag = 'on' OR listed_since IS NOT NULL
    GROUP BY institution, refresh
), busiest AS (
    SELECT institution
    FROM billed
    WHERE institution IS NOT NULL
    GROUP BY institution
    ORDER BY sum(logins) DESC, institution
    LIMIT :limit
)
SELECT busiest.institution, billed.refresh, sum(billed.logins)::bigint AS logins
FROM billed
LEFT JOIN busiest ON busiest.institution = billed.institution
GROUP BY busiest.institution, billed.refresh;

-- name: lapsing(now, polling)^
-- Active logins by how soon Flinks stops refreshing them: seven days after the last good refresh and, where the integration polls, after
-- the last cached call (`forecast.eligible_until`). Those that are off, or have lapsed already, are no news.
SELECT
    count(*) FILTER (WHERE ends.at <= :now::timestamptz + interval '1 day') AS within_1d,
    count(*) FILTER (WHERE ends.at <= :now + interval '2 days') AS within_2d,
    count(*) FILTER (WHERE ends.at <= :now + interval '3 days') AS within_3d
FROM login
CROSS JOIN LATERAL (
    SELECT interval '7 days' + CASE
        WHEN :polling::boolean AND login.cached_call_at < login.refreshed_at THEN login.cached_call_at
        WHEN NOT :polling OR login.cached_call_at IS NOT NULL THEN login.refreshed_at
    END AS at
) AS ends
WHERE login.active AND login.flag <> 'off' AND ends.at > :now;

-- name: routine(now, routine_start, polling)
-- The logins whose routine was not done since then, by the hour (UTC) in which their clock of cached calls runs out. That clock counts
-- where the integration polls, for logins that no other clock or trouble has taken already: no call of ours saves the rest.
SELECT
    lane,
    CASE
        WHEN :polling::boolean AND lane = 'savable'
            AND refreshed_at > :now::timestamptz - interval '7 days' AND cached_call_at > :now - interval '7 days'
        THEN date_trunc('hour', cached_call_at + interval '7 days', 'UTC')
    END AS lapses_at,
    count(*) AS logins
FROM login
WHERE active AND lane IS NOT NULL AND routine_at < :routine_start
GROUP BY lane, lapses_at;
