-- Undoing what a plan disabled.

-- name: find(prefix)
-- Plans that disabled something, by how their id begins; also those that were small enough never to be stored as plans.
SELECT DISTINCT plan_id
FROM schedule_change
WHERE starts_with(plan_id, :prefix) AND change = 'disable' AND event = 'confirmed'
ORDER BY plan_id
LIMIT 5;

-- name: reject_rest(undone, now, reason)$
-- Nothing more is sent of a plan that is still on its way, that a canary has held again, or that went at once and is not all confirmed.
-- No row for any other.
UPDATE plan
SET state = 'rejected', rejected_at = :now, rejection_reason = :reason,
    approved_at = NULL, approved_until = NULL, approval_reason = NULL
WHERE plan_id = :undone AND state <> 'rejected'
    AND (
        EXISTS (SELECT FROM login WHERE login.plan_id = plan.plan_id)
        OR EXISTS (
            SELECT FROM login
            WHERE NOT login.active AND login.intent = 'disable' AND NOT login.intent_reasserts AND login.intent_plan_id = plan.plan_id
        )
    )
RETURNING plan_id;

-- name: ask(undone, by, reason, now)!
-- Keeps who wants the plan undone, and why, for the leader's next pass. Where it waits for one already, that is one undoing, wanted twice.
WITH noted AS (
    INSERT INTO decision (at, decided_by, decision, plan_id, reason)
    VALUES (:now, :by, 'undo', :undone, :reason)
    RETURNING decision_id
), asked AS (
    INSERT INTO undoing (decision_id, undone)
    SELECT noted.decision_id, :undone
    FROM noted
    ON CONFLICT DO NOTHING
)
SELECT pg_notify(activity_channel(), 'activity');

-- name: asked()
-- What waits for a pass, the oldest first.
SELECT undoing.decision_id, undoing.undone, decision.at, decision.decided_by, decision.reason, undoing.planned_at, undoing.plan_id
FROM undoing
JOIN decision ON decision.decision_id = undoing.decision_id
WHERE undoing.planned_at IS NULL
ORDER BY undoing.decision_id;

-- name: newest_of(undone)^
-- The newest undoing of a plan; not one of an earlier plan of the very same logins, whose id is the same.
SELECT undoing.decision_id, undoing.undone, decision.at, decision.decided_by, decision.reason, undoing.planned_at, undoing.plan_id
FROM undoing
JOIN decision ON decision.decision_id = undoing.decision_id
LEFT JOIN plan ON plan.plan_id = undoing.undone
WHERE undoing.undone = :undone AND (undoing.planned_at IS NULL OR plan.plan_id IS NULL OR decision.at >= plan.held_at)
ORDER BY undoing.decision_id DESC
LIMIT 1;

-- name: taken_up(decision_id, now, pass_id, plan_id)!
-- A pass has made this plan of it, or found nothing to enable.
UPDATE undoing
SET planned_at = :now, pass_id = :pass_id, plan_id = :plan_id
WHERE decision_id = :decision_id;

-- name: enabler(prefix)$
-- A plan of enables that begins so: there is no undoing that.
SELECT plan_id
FROM schedule_change
WHERE starts_with(plan_id, :prefix) AND change = 'enable'
LIMIT 1;

-- name: disabled(plan_id, after, clients, limit)
-- The next of what the plan disabled, by LoginId, each with what an undoing would do about it, and so many of the clients that want it.
SELECT
    done.login_id,
    COALESCE(undoing_outcome.outcome, 'forgotten') AS outcome,
    ARRAY (
        SELECT client_login.client_id
        FROM client_login
        JOIN client ON client.client_id = client_login.client_id
        WHERE client_login.login_id = done.login_id AND client_login.scheduled AND client.active
        ORDER BY client_login.client_id
        LIMIT :clients
    ) AS clients
FROM (
    SELECT DISTINCT schedule_change.login_id
    FROM schedule_change
    WHERE schedule_change.plan_id = :plan_id AND schedule_change.change = 'disable' AND schedule_change.event = 'confirmed'
        AND schedule_change.login_id > :after
    ORDER BY schedule_change.login_id
    LIMIT :limit
) AS done
LEFT JOIN undoing_outcome ON undoing_outcome.login_id = done.login_id
ORDER BY done.login_id;

-- name: outcomes(plan_id)
-- All that the plan disabled, counted by what an undoing would do about it.
SELECT COALESCE(undoing_outcome.outcome, 'forgotten') AS outcome, count(*) AS logins
FROM (
    SELECT DISTINCT schedule_change.login_id
    FROM schedule_change
    WHERE schedule_change.plan_id = :plan_id AND schedule_change.change = 'disable' AND schedule_change.event = 'confirmed'
) AS done
LEFT JOIN undoing_outcome ON undoing_outcome.login_id = done.login_id
GROUP BY 1;

-- name: cover(undone, plan_id, event, event_reason, now, reason, pass_id, term)$
-- What the undone plan disabled and an active client wants belongs to the new plan from now on, which may be a held one of the very
-- same logins. Returns the id that a plan of exactly these logins has.
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
    INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id, pass_id, term)
    SELECT locked.login_id, 'disable', 'undone', :now, :reason, :undone, :pass_id, :term
    FROM locked
), event AS (
    INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id, pass_id, term)
    SELECT locked.login_id, 'enable', :event::text, :now, :event_reason, :plan_id, :pass_id, :term
    FROM locked
), covered AS (
    UPDATE login
    SET plan_id = :plan_id, evidence_version = login.evidence_version + 1, verdict_until = '-infinity'
    FROM locked
    WHERE login.login_id = locked.login_id
    RETURNING login.login_id
)
SELECT left(encode(sha256(convert_to(string_agg(covered.login_id || E' enable\n', '' ORDER BY covered.login_id), 'UTF8')), 'hex'), 16)
FROM covered;
