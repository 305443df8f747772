-- Undoing what a plan disabled.

-- name: find(prefix)
-- Plans that disabled something, by how their id begins; also those that were small enough never to be stored as plans.
SELECT DISTINCT plan_id
FROM schedule_change
WHERE starts_with(plan_id, :prefix) AND change = 'disable' AND event = 'confirmed'
ORDER BY plan_id
LIMIT 5;

-- name: disabled(plan_id, after, limit)
-- The next of what the plan disabled, by LoginId, each with what an undoing would do about it. One that waits in a plan of enables
-- that is held or rejected is taken over.
SELECT
    done.login_id,
    CASE
        WHEN login.login_id IS NULL THEN 'forgotten'
        WHEN NOT login.active THEN 'inactive'
        WHEN login.confirmed_off_at IS NULL THEN 'on_again'
        WHEN login.refused_at IS NOT NULL THEN 'refused'
        WHEN login.intent IS NULL AND COALESCE(other.state, 'held') IN ('held', 'rejected') THEN 'enabled'
        ELSE 'under_way'
    END AS outcome
FROM (
    SELECT DISTINCT schedule_change.login_id
    FROM schedule_change
    WHERE schedule_change.plan_id = :plan_id AND schedule_change.change = 'disable' AND schedule_change.event = 'confirmed'
        AND schedule_change.login_id > :after
    ORDER BY schedule_change.login_id
    LIMIT :limit
) AS done
LEFT JOIN login ON login.login_id = done.login_id
LEFT JOIN plan AS other ON other.plan_id = login.plan_id
ORDER BY done.login_id;

-- name: cover(undone, plan_id, event, event_reason, now, reason)$
-- What the undone plan disabled and an active client wants belongs to the new plan from now on, which may be a held one of the very
-- same logins. Returns how many.
WITH locked AS (
    SELECT login.login_id
    FROM login
    LEFT JOIN plan AS other ON other.plan_id = login.plan_id
    WHERE login.active AND login.confirmed_off_at IS NOT NULL AND login.intent IS NULL AND login.refused_at IS NULL
        AND (login.plan_id = :plan_id OR COALESCE(other.state, 'held') IN ('held', 'rejected'))
        AND login.login_id IN (
            SELECT schedule_change.login_id
            FROM schedule_change
            WHERE schedule_change.plan_id = :undone AND schedule_change.change = 'disable' AND schedule_change.event = 'confirmed'
        )
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
), undone AS (
    INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id)
    SELECT locked.login_id, 'disable', 'undone', :now, :reason, :undone
    FROM locked
), event AS (
    INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id)
    SELECT locked.login_id, 'enable', :event::text, :now, :event_reason, :plan_id
    FROM locked
), covered AS (
    UPDATE login
    SET plan_id = :plan_id, evidence_version = login.evidence_version + 1, verdict_until = '-infinity'
    FROM locked
    WHERE login.login_id = locked.login_id
    RETURNING login.login_id
)
SELECT counted.members
FROM (SELECT count(*) AS members FROM covered) AS counted
CROSS JOIN pg_notify(activity_channel(), 'activity');
