-- What the page shows of many logins and of one pass.

-- name: listed(verdict, institution, code, first, last, after, limit)
-- The next logins of a verdict by LoginId, of those that begin between the two.
SELECT login_id, verdict, reason, verdict_since, institution, COALESCE(refused_code, error_code) AS code, refreshed_at
FROM login
WHERE verdict = :verdict AND login_id > :after AND login_id >= :first AND login_id <= :last
    AND (:institution::text IS NULL OR institution = :institution)
    AND (:code::text IS NULL OR COALESCE(refused_code, error_code) = :code)
ORDER BY login_id
LIMIT :limit;

-- name: by_handle(first, last, check)$
-- The login whose handle this is (refreshd/handle.py).
SELECT login_id
FROM login
WHERE login_id >= :first AND login_id <= :last AND left(encode(sha256(uuid_send(login_id)), 'hex'), 10) = :check
LIMIT 1;

-- name: institutions(limit)
-- Logins by bank. `never`: Flinks bills the login and has not once refreshed it.
SELECT
    institution AS name,
    count(*) AS logins,
    count(*) FILTER (WHERE active) AS active,
    count(*) FILTER (WHERE verdict = 'fresh') AS fresh,
    count(*) FILTER (WHERE verdict = 'failed') AS failed,
    count(*) FILTER (WHERE verdict = 'reconnect') AS reconnect,
    count(*) FILTER (WHERE verdict = 'stale') AS stale,
    count(*) FILTER (WHERE flag = 'on' AND refreshed_at IS NULL) AS never
FROM login
GROUP BY institution
ORDER BY count(*) DESC, institution
LIMIT :limit;

-- name: pass(pass_id)^
-- One pass, and when the next one began: its calls are those of that time.
SELECT
    pass_id, started_at, finished_at, judged, intended, held, failure, phase_seconds, withheld,
    (SELECT min(following.started_at) FROM reconcile_pass AS following WHERE following.pass_id = reconcile_pass.pass_id + 1) AS next_at
FROM reconcile_pass
WHERE pass_id = :pass_id;

-- name: calls_of_pass(pass_id, since, until, limit)
-- The calls made under a pass, the first one first. The span keeps the search within a few leaves of the trace's index.
SELECT
    called_at, operation, method, url, body, login_id, http_status, flinks_code, message, request_id, latency_seconds, attempt, pass_id,
    failure
FROM call
WHERE called_at >= :since AND called_at < :until AND pass_id = :pass_id
ORDER BY called_at
LIMIT :limit;

-- name: changes_of_pass(pass_id, limit)
-- The events of schedule changes that a pass is named in, the first one first.
SELECT event_id, login_id, change, event, intent_id, at, reason, outside_caps, plan_id, pass_id, code, detail
FROM schedule_change
WHERE pass_id = :pass_id
ORDER BY event_id
LIMIT :limit;
