-- A client list comes in: staged by COPY and looked through, then judged and merged set-wise in one transaction.

-- name: lock()$
-- Two client lists are never merged at the same time.
SELECT pg_advisory_xact_lock(hashtextextended('refreshd import ' || current_schema(), 0));

-- name: create_staging()!
-- The list as it came, one row a line; gone with the session.
CREATE TEMPORARY TABLE staged_link (
    line bigint NOT NULL,
    client_id text NOT NULL,
    login_id uuid NOT NULL,
    active boolean NOT NULL,
    scheduled boolean NOT NULL
);

-- name: create_before()!
-- Who was active before the merge; gone with the transaction.
CREATE TEMPORARY TABLE active_before ON COMMIT DROP AS
SELECT login.login_id
FROM login
WHERE login.active;

-- name: analyze_staging()!
-- A temporary table has no statistics of its own accord.
ANALYZE staged_link;

-- name: analyze_before()!
-- As above.
ANALYZE active_before;

-- name: contradictory_clients(limit)
-- Clients that are active on one line and not on another.
SELECT
    staged_link.client_id,
    min(staged_link.line) FILTER (WHERE staged_link.active) AS active_line,
    min(staged_link.line) FILTER (WHERE NOT staged_link.active) AS inactive_line
FROM staged_link
GROUP BY staged_link.client_id
HAVING bool_or(staged_link.active) AND NOT bool_and(staged_link.active)
ORDER BY min(staged_link.line)
LIMIT :limit;

-- name: contradictory_links(limit)
-- Links that are scheduled on one line and not on another.
SELECT
    staged_link.client_id,
    staged_link.login_id,
    min(staged_link.line) FILTER (WHERE staged_link.scheduled) AS scheduled_line,
    min(staged_link.line) FILTER (WHERE NOT staged_link.scheduled) AS unscheduled_line
FROM staged_link
GROUP BY staged_link.client_id, staged_link.login_id
HAVING bool_or(staged_link.scheduled) AND NOT bool_and(staged_link.scheduled)
ORDER BY min(staged_link.line)
LIMIT :limit;

-- name: shrinkage()$
-- How many active logins would turn inactive if the list were the whole truth.
SELECT count(*)
FROM login
WHERE login.active
    AND NOT EXISTS (
        SELECT FROM staged_link
        WHERE staged_link.login_id = login.login_id AND staged_link.active AND staged_link.scheduled
    );

-- name: add_clients()$
-- Clients that the ledger does not know. Returns how many.
WITH added AS (
    INSERT INTO client (client_id, active)
    SELECT DISTINCT staged_link.client_id, staged_link.active
    FROM staged_link
    WHERE NOT EXISTS (SELECT FROM client WHERE client.client_id = staged_link.client_id)
    ORDER BY staged_link.client_id
    ON CONFLICT (client_id) DO UPDATE SET active = excluded.active
    RETURNING client.client_id
)
SELECT count(*) FROM added;

-- name: change_clients()$
-- Clients whose state is another one now. Returns how many.
WITH locked AS (
    SELECT client.client_id, NOT client.active AS active
    FROM client
    JOIN (SELECT DISTINCT staged_link.client_id, staged_link.active FROM staged_link) AS listed
        ON listed.client_id = client.client_id AND listed.active <> client.active
    ORDER BY client.client_id
    FOR NO KEY UPDATE OF client
), changed AS (
    UPDATE client
    SET active = locked.active
    FROM locked
    WHERE client.client_id = locked.client_id
    RETURNING client.client_id
)
SELECT count(*) FROM changed;

-- name: deactivate_absent_clients()$
-- Clients that are not in a list that is the whole truth. Returns how many.
WITH locked AS (
    SELECT client.client_id
    FROM client
    WHERE client.active AND NOT EXISTS (SELECT FROM staged_link WHERE staged_link.client_id = client.client_id)
    ORDER BY client.client_id
    FOR NO KEY UPDATE
), deactivated AS (
    UPDATE client
    SET active = false
    FROM locked
    WHERE client.client_id = locked.client_id
    RETURNING client.client_id
)
SELECT count(*) FROM deactivated;

-- name: add_links()$
-- Links that the ledger does not know. Returns how many.
WITH added AS (
    INSERT INTO client_login (client_id, login_id, scheduled)
    SELECT DISTINCT staged_link.client_id, staged_link.login_id, staged_link.scheduled
    FROM staged_link
    WHERE NOT EXISTS (
        SELECT FROM client_login
        WHERE client_login.client_id = staged_link.client_id AND client_login.login_id = staged_link.login_id
    )
    ORDER BY staged_link.client_id, staged_link.login_id
    ON CONFLICT (client_id, login_id) DO UPDATE SET scheduled = excluded.scheduled
    RETURNING client_login.client_id
)
SELECT count(*) FROM added;

-- name: change_links()$
-- Links whose `scheduled` is another one now. Returns how many.
WITH locked AS (
    SELECT client_login.client_id, client_login.login_id, NOT client_login.scheduled AS scheduled
    FROM client_login
    JOIN (SELECT DISTINCT staged_link.client_id, staged_link.login_id, staged_link.scheduled FROM staged_link) AS listed
        ON listed.client_id = client_login.client_id
        AND listed.login_id = client_login.login_id
        AND listed.scheduled <> client_login.scheduled
    ORDER BY client_login.client_id, client_login.login_id
    FOR NO KEY UPDATE OF client_login
), changed AS (
    UPDATE client_login
    SET scheduled = locked.scheduled
    FROM locked
    WHERE client_login.client_id = locked.client_id AND client_login.login_id = locked.login_id
    RETURNING client_login.client_id
)
SELECT count(*) FROM changed;

-- name: unschedule_absent_links()$
-- Links of listed clients that are not in a list that is the whole truth. They stay, so that nothing is lost. Returns how many.
WITH locked AS (
    SELECT client_login.client_id, client_login.login_id
    FROM client_login
    WHERE client_login.scheduled
        AND EXISTS (SELECT FROM staged_link WHERE staged_link.client_id = client_login.client_id)
        AND NOT EXISTS (
            SELECT FROM staged_link
            WHERE staged_link.client_id = client_login.client_id AND staged_link.login_id = client_login.login_id
        )
    ORDER BY client_login.client_id, client_login.login_id
    FOR NO KEY UPDATE
), unscheduled AS (
    UPDATE client_login
    SET scheduled = false
    FROM locked
    WHERE client_login.client_id = locked.client_id AND client_login.login_id = locked.login_id
    RETURNING client_login.client_id
)
SELECT count(*) FROM unscheduled;

-- name: turned()^
-- How many logins the merge has turned.
SELECT
    (
        SELECT count(*) FROM login
        WHERE login.active AND NOT EXISTS (SELECT FROM active_before WHERE active_before.login_id = login.login_id)
    ) AS activated,
    (
        SELECT count(*) FROM active_before
        JOIN login ON login.login_id = active_before.login_id
        WHERE NOT login.active
    ) AS deactivated;

-- name: set_writer_clock(now)$
-- Has the triggers stamp what this transaction writes with our clock, which may run scaled.
SELECT set_config('refreshd.now', :now, true);

-- name: staged()$
-- How many rows the list has.
SELECT count(*)
FROM staged_link;

-- name: duplicates()$
-- How many lines repeat another one.
SELECT count(*) - count(DISTINCT (staged_link.client_id, staged_link.login_id))
FROM staged_link;

-- name: source_read_at()$
-- When the source query was last merged.
SELECT landmark.source_read_at
FROM landmark;

-- name: lists_merged()$
-- How many client lists were merged so far.
SELECT landmark.lists_merged
FROM landmark;

-- name: count_list()!
-- One more was merged.
UPDATE landmark
SET lists_merged = lists_merged + 1;

-- name: mark_source_read(now)!
-- The source query was merged now.
UPDATE landmark
SET source_read_at = :now;
