-- What the panels of the Logins dashboard ask, in Grafana's own words: $__timeTo() and $__timeFilter() are the span on the screen, $login,
-- $institution and $code are the choices above it. They read the masked_ views and nothing else. No schema is named: the reader's search
-- path carries it.

-- name: institutions
-- The choices of a variable.
SELECT DISTINCT COALESCE(institution, 'unknown') FROM masked_login ORDER BY 1

-- name: codes
-- Likewise.
SELECT DISTINCT COALESCE(error_code, 'none') FROM masked_login ORDER BY 1

-- name: choosable_logins
-- Those with news first; a list longer than that is for the address bar.
SELECT login FROM masked_login ORDER BY verdict IN ('fresh', 'disabled'), verdict_since DESC, login LIMIT 500

-- name: by_institution
-- Where trouble gathers.
SELECT
    COALESCE(institution, 'unknown') AS institution,
    count(*) AS logins,
    count(*) FILTER (WHERE verdict = 'fresh') AS fresh,
    count(*) FILTER (WHERE verdict = 'stale') AS stale,
    count(*) FILTER (WHERE verdict = 'failed') AS failed,
    count(*) FILTER (WHERE verdict = 'reconnect') AS reconnect,
    count(*) FILTER (WHERE verdict IN ('leaking', 'held')) AS leaks,
    count(*) FILTER (WHERE verdict = 'disabled') AS disabled
FROM masked_login
WHERE COALESCE(institution, 'unknown') IN ($institution) AND COALESCE(error_code, 'none') IN ($code)
GROUP BY 1
ORDER BY count(*) FILTER (WHERE verdict NOT IN ('fresh', 'disabled')) DESC

-- name: confirmed_by_day
-- What Flinks confirmed, day by day.
SELECT
    date_trunc('day', at) AS time,
    count(*) FILTER (WHERE change = 'disable') AS "off",
    count(*) FILTER (WHERE change = 'enable') AS "on"
FROM masked_change
WHERE $__timeFilter(at) AND event = 'confirmed'
GROUP BY 1
ORDER BY 1

-- name: silently_stale
-- Refreshed by nobody, and no error says why.
SELECT login, institution, extract(epoch FROM $__timeTo()::timestamptz - refreshed_at) AS refreshed
FROM masked_login
WHERE verdict = 'stale' AND COALESCE(institution, 'unknown') IN ($institution) AND COALESCE(error_code, 'none') IN ($code)
ORDER BY refreshed_at NULLS FIRST
LIMIT 100

-- name: waiting_for_users
-- Whose users must go through Flinks Connect again.
SELECT login, institution, error_code AS code, extract(epoch FROM $__timeTo()::timestamptz - verdict_since) AS "for"
FROM masked_login
WHERE verdict = 'reconnect' AND COALESCE(institution, 'unknown') IN ($institution) AND COALESCE(error_code, 'none') IN ($code)
ORDER BY verdict_since DESC
LIMIT 100

-- name: lapsing_next
-- The seven days run from the last good refresh and from the last cached call; whichever is over first counts.
SELECT login, institution, verdict, extract(epoch FROM LEAST(refresh_lapses_at, call_lapses_at) - $__timeTo()::timestamptz) AS "lapses in"
FROM masked_login
WHERE active AND LEAST(refresh_lapses_at, call_lapses_at) > $__timeTo()::timestamptz AND COALESCE(institution, 'unknown') IN ($institution) AND COALESCE(error_code, 'none') IN ($code)
ORDER BY LEAST(refresh_lapses_at, call_lapses_at)
LIMIT 100

-- name: paid_for_nothing
-- Inactive, and not confirmed off.
SELECT login, institution, verdict, extract(epoch FROM $__timeTo()::timestamptz - inactive_since) AS "without a client", plan_id AS plan
FROM masked_login
WHERE verdict IN ('leaking', 'held') AND COALESCE(institution, 'unknown') IN ($institution) AND COALESCE(error_code, 'none') IN ($code)
ORDER BY inactive_since
LIMIT 100

-- name: switched_off
-- The newest disables that Flinks confirmed.
SELECT at, login, reason, plan_id AS plan
FROM masked_change
WHERE $__timeFilter(at) AND event = 'confirmed' AND change = 'disable'
ORDER BY at DESC
LIMIT 100

-- name: one_login
-- One row a fact, so that the panel reads from top to bottom.
SELECT
    fact.name AS fact,
    fact.value
FROM masked_login
CROSS JOIN LATERAL (
    VALUES
        ('login', login),
        ('verdict', verdict || ': ' || reason),
        ('for', to_char($__timeTo()::timestamptz - verdict_since, 'FMDD "d" FMHH24 "h"')),
        ('institution', institution),
        ('active client', CASE WHEN active THEN 'yes' ELSE 'none' END),
        ('inactive since', to_char(inactive_since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')),
        ('error', error_code),
        ('last refreshed', to_char(refreshed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')),
        ('last cached call', to_char(cached_call_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')),
        ('confirmed off', to_char(confirmed_off_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'))
) AS fact (name, value)
WHERE login IN ($login) AND fact.value IS NOT NULL

-- name: its_changes
-- Every event of every change.
SELECT at, change, event, plan_id AS plan, concat_ws(' ', reason, code) AS because
FROM masked_change
WHERE login IN ($login)
ORDER BY event_id DESC
LIMIT 100

-- name: its_calls
-- The trace, as long as it is kept.
SELECT called_at AS at, operation, latency_seconds AS took, http_status AS status, concat_ws(' ', flinks_code, failure) AS answer
FROM masked_call
WHERE login IN ($login)
ORDER BY called_at DESC
LIMIT 100
