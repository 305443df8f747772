-- The ledger, counted.

-- name: cube(now)
-- One scan: the logins grouped by all that a metric tells apart, a few hundred rows at most. A leak is an inactive login that is not
-- confirmed off, or that Flinks says is on again.
WITH sorted AS (
    SELECT
        login.verdict, login.active, login.stale, login.listed_since IS NOT NULL AS listed, login.refreshed_at, login.inactive_since,
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
        ::double precision / 86400 AS leaking_days
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
    (SELECT landmark.reported_at FROM landmark) AS reported_at;
