-- The trace of every HTTP call.

-- name: add(called_ats, operations, methods, urls, bodies, login_ids, http_statuses, flinks_codes, messages, request_ids, latencies, attempts, pass_ids, failures, term)!
-- Many calls at once.
INSERT INTO call (
    called_at, operation, method, url, body, login_id, http_status, flinks_code, message, request_id, latency_seconds, attempt, pass_id,
    failure, term
)
SELECT
    each.called_at, each.operation, each.method, each.url, each.body::jsonb, each.login_id, each.http_status, each.flinks_code,
    each.message, each.request_id, each.latency_seconds, LEAST(each.attempt, 32767), each.pass_id, each.failure, :term
FROM unnest(
    :called_ats::timestamptz[], :operations::text[], :methods::text[], :urls::text[], :bodies::text[], :login_ids::uuid[],
    :http_statuses::integer[], :flinks_codes::text[], :messages::text[], :request_ids::text[], :latencies::double precision[],
    :attempts::integer[], :pass_ids::bigint[], :failures::text[]
) AS each (
    called_at, operation, method, url, body, login_id, http_status, flinks_code, message, request_id, latency_seconds, attempt, pass_id,
    failure
);

-- name: of_login(login_id, limit)
-- The last calls about a login, the newest first.
SELECT
    called_at, operation, method, url, body, login_id, http_status, flinks_code, message, request_id, latency_seconds, attempt, pass_id,
    failure
FROM call
WHERE login_id = :login_id
ORDER BY called_at DESC
LIMIT :limit;

-- name: count_since(since)$
-- How many calls left since then.
SELECT count(*)
FROM call
WHERE called_at > :since;
