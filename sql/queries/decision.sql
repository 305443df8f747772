-- What people decide about the daemon as a whole, and the record of all their decisions.

-- name: note(now, by, decision, plan_id, reason)!
-- Keeps who decided what, and why.
INSERT INTO decision (at, decided_by, decision, plan_id, reason)
VALUES (:now, :by, :decision, :plan_id, :reason);

-- name: of_plan(plan_id)
-- What people decided about a plan, in their order.
SELECT at, decided_by, decision, reason
FROM decision
WHERE plan_id = :plan_id
ORDER BY decision_id;

-- name: pause(now, by, reason)$
-- Stops all vendor writes and wakes the daemon. Waits for those that are being marked as sent. No row where they are stopped already.
WITH paused AS (
    UPDATE pause
    SET paused_at = :now, paused_by = :by, reason = :reason
    WHERE paused_at IS NULL
    RETURNING paused_at
)
SELECT paused.paused_at
FROM paused
CROSS JOIN pg_notify(activity_channel(), 'activity');

-- name: resume()$
-- Lets vendor writes go on and wakes the daemon. No row where nothing stopped them.
WITH resumed AS (
    UPDATE pause
    SET paused_at = NULL, paused_by = NULL, reason = NULL
    WHERE paused_at IS NOT NULL
    RETURNING single
)
SELECT resumed.single
FROM resumed
CROSS JOIN pg_notify(activity_channel(), 'activity');

-- name: standing_pause()^
-- The pause that stands; no row where none does.
SELECT paused_at, paused_by, reason
FROM pause
WHERE paused_at IS NOT NULL;
