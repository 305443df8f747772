-- What `refreshd doctor` asks of the database itself, and of the trace.

-- name: server()^
-- Which server it is, whether it takes writes, and what time it thinks it is.
SELECT
    current_setting('server_version') AS version,
    pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on' AS read_only,
    clock_timestamp() AS clock;

-- name: clock()^
-- The time as the database has it, to hold ours against.
SELECT clock_timestamp() AS at;

-- name: identity()^
-- Two sessions that see the same here are on the same ledger of the same server.
SELECT pg_postmaster_start_time() AS started_at, pg_database.oid AS database, 'lease'::regclass::oid AS ledger
FROM pg_database
WHERE pg_database.datname = current_database();

-- name: try_write()!
-- A write that changes nothing, for a transaction that is rolled back.
UPDATE landmark
SET single = landmark.single;

-- name: newest_calls(since)
-- The newest call of each operation since then.
SELECT DISTINCT ON (call.operation) call.operation, call.called_at, call.http_status, call.flinks_code, call.failure
FROM call
WHERE call.called_at > :since
ORDER BY call.operation, call.called_at DESC;
