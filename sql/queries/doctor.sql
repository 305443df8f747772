-- What `refreshd doctor` asks of the database itself, and of the trace.

-- name: server()^
-- Which server it is, whether it takes writes, and what time it thinks it is.
SELECT
    current_setting('server_version') AS version,
    pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on' AS read_only,
    clock_timestamp() AS clock;

-- name: durability()
-- The settings that are off although what we were told is stored rests on them.
SELECT setting.name, setting.source
FROM pg_settings AS setting
WHERE setting.name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting.setting = 'off'
ORDER BY setting.name;

-- name: room()$
-- How many sessions our role can have here beside those of others, by whichever limit is the least. Ours count as free: they are what
-- the room is for.
WITH other AS (
    SELECT activity.usename, activity.datname
    FROM pg_stat_activity AS activity
    WHERE activity.datname IS NOT NULL AND COALESCE(activity.application_name, '') NOT LIKE 'refreshd%'
)
SELECT LEAST(
    (
        SELECT sum(CASE WHEN setting.name = 'max_connections' THEN setting.setting::integer ELSE -setting.setting::integer END)
        FROM pg_settings AS setting
        WHERE setting.name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
    ) - (SELECT count(*) FROM other),
    (
        SELECT NULLIF(pg_roles.rolconnlimit, -1) - (SELECT count(*) FROM other WHERE other.usename = current_user)
        FROM pg_roles
        WHERE pg_roles.rolname = current_user
    ),
    (
        SELECT NULLIF(pg_database.datconnlimit, -1) - (SELECT count(*) FROM other WHERE other.datname = current_database())
        FROM pg_database
        WHERE pg_database.datname = current_database()
    )
)::integer;

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
