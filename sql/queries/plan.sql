-- Plans: what may become one, what was held, and what a person has approved.

-- name: totals(since)^
-- What the guard weighs a plan against; only rows whose verdict is on the present evidence count as waiting. In the window stands what was
-- intended or confirmed in it, and what is intended still, however long ago: it may take effect today. Not the weekly try of one that
-- Flinks refuses, which takes effect once in a blue moon and is counted when it does.
SELECT
    count(*) AS logins,
    count(*) FILTER (WHERE login.active) AS active,
    count(*) FILTER (WHERE login.confirmed_off_at IS NULL) AS not_confirmed_off,
    (
        SELECT count(*)
        FROM (
            SELECT schedule_change.login_id FROM schedule_change
            WHERE schedule_change.change = 'disable' AND schedule_change.event IN ('intended', 'confirmed')
                AND NOT schedule_change.outside_caps AND schedule_change.at > :since
            UNION
            SELECT login.login_id FROM login
            WHERE login.intent = 'disable' AND NOT login.intent_outside_caps AND login.refused_at IS NULL
        ) AS disabled
    ) AS disables_in_window,
    (
        SELECT count(*)
        FROM (
            SELECT schedule_change.login_id FROM schedule_change
            WHERE schedule_change.change = 'enable' AND schedule_change.event IN ('intended', 'confirmed')
                AND NOT schedule_change.outside_caps AND schedule_change.at > :since
            UNION
            SELECT login.login_id FROM login
            WHERE login.intent = 'enable' AND NOT login.intent_outside_caps AND login.refused_at IS NULL
        ) AS enabled
    ) AS enables_in_window,
    (SELECT landmark.accepted_active FROM landmark) AS accepted_active
FROM login;

-- name: disables_waiting(now)$
-- How many logins a disabling plan would have now.
SELECT count(*)
FROM login
WHERE NOT active AND verdict IN ('leaking', 'quarantined') AND plan_id IS NULL AND intent IS NULL
    AND verdict_until > :now AND (change_not_before IS NULL OR change_not_before <= :now);

-- name: enables_waiting(now)$
-- How many logins an enabling plan would have now.
SELECT count(*)
FROM login
WHERE active AND verdict = 'drifted' AND reason = 'disabled_by_refreshd' AND plan_id IS NULL AND intent IS NULL
    AND verdict_until > :now AND (change_not_before IS NULL OR change_not_before <= :now);

-- name: disables(now, after, limit)
-- The next members of a disabling plan, by LoginId.
SELECT login_id, reason
FROM login
WHERE NOT active AND verdict IN ('leaking', 'quarantined') AND plan_id IS NULL AND intent IS NULL
    AND login_id > :after AND verdict_until > :now AND (change_not_before IS NULL OR change_not_before <= :now)
ORDER BY login_id
LIMIT :limit;

-- name: enables(now, after, limit)
-- The next members of an enabling plan, by LoginId.
SELECT login_id, reason
FROM login
WHERE active AND verdict = 'drifted' AND reason = 'disabled_by_refreshd' AND plan_id IS NULL AND intent IS NULL
    AND login_id > :after AND verdict_until > :now AND (change_not_before IS NULL OR change_not_before <= :now)
ORDER BY login_id
LIMIT :limit;

-- name: approved_disables(now, limit)
-- Members of approved disabling plans that were judged since, and still leak.
SELECT login.login_id, login.reason, login.plan_id
FROM plan
JOIN login ON login.plan_id = plan.plan_id
WHERE plan.state = 'approved' AND plan.change = 'disable' AND plan.approved_until > :now
    AND NOT login.active AND login.verdict IN ('leaking', 'quarantined') AND login.intent IS NULL
    AND login.verdict_until > :now AND (login.change_not_before IS NULL OR login.change_not_before <= :now)
ORDER BY login.plan_id, login.login_id
LIMIT :limit;

-- name: approved_enables(now, limit)
-- Members of approved enabling plans that were judged since, and still want it.
SELECT login.login_id, login.reason, login.plan_id
FROM plan
JOIN login ON login.plan_id = plan.plan_id
WHERE plan.state = 'approved' AND plan.change = 'enable' AND plan.approved_until > :now
    AND login.active AND login.verdict = 'drifted' AND login.reason = 'disabled_by_refreshd' AND login.intent IS NULL
    AND login.verdict_until > :now AND (login.change_not_before IS NULL OR login.change_not_before <= :now)
ORDER BY login.plan_id, login.login_id
LIMIT :limit;

-- name: reassertions(now, confirmed_before, limit)
-- Disabled logins whose last confirmation is old, the oldest first.
SELECT login_id
FROM login
WHERE NOT active AND verdict = 'disabled' AND intent IS NULL
    AND confirmed_off_at < :confirmed_before AND (change_not_before IS NULL OR change_not_before <= :now)
ORDER BY confirmed_off_at
LIMIT :limit;

-- name: intend(login_ids, reasons, plan_ids, covered, change, outside_caps, now, pass_id, term)$
-- Stores intents before any call, where the login still qualifies, and returns how many. `covered`: by an approved plan.
WITH given AS (
    SELECT each.login_id, each.reason, each.plan_id, each.covered
    FROM unnest(:login_ids::uuid[], :reasons::text[], :plan_ids::text[], :covered::boolean[])
        AS each (login_id, reason, plan_id, covered)
), locked AS (
    SELECT login.login_id, given.reason, given.plan_id
    FROM login
    JOIN given ON given.login_id = login.login_id
    WHERE login.intent IS NULL
        AND login.active = (:change = 'enable')
        AND login.plan_id IS NOT DISTINCT FROM CASE WHEN given.covered THEN given.plan_id END
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login SKIP LOCKED
), numbered AS (
    SELECT locked.login_id, locked.reason, locked.plan_id, nextval('intent_number') AS intent_id
    FROM locked
), event AS (
    INSERT INTO schedule_change (login_id, change, event, intent_id, at, reason, outside_caps, plan_id, pass_id, term)
    SELECT
        numbered.login_id, :change::text, 'intended', numbered.intent_id, :now, numbered.reason, :outside_caps, numbered.plan_id,
        :pass_id, :term
    FROM numbered
), intended AS (
    UPDATE login
    SET intent = :change,
        intent_id = numbered.intent_id,
        intent_reason = numbered.reason,
        intent_plan_id = numbered.plan_id,
        intended_at = :now,
        intent_outside_caps = :outside_caps,
        change_attempts = 0,
        change_not_before = NULL
    FROM numbered
    WHERE login.login_id = numbered.login_id
    RETURNING login.login_id
)
SELECT count(*) FROM intended;

-- name: open(plan_id, change, now, pass_id, reason, sentence, logins, allowance)!
-- A held plan; one of the same members that was held before is opened again, without its old approval.
INSERT INTO plan (plan_id, change, state, held_at, pass_id, reason, sentence, logins, allowance)
VALUES (:plan_id, :change, 'held', :now, :pass_id, :reason, :sentence, :logins, :allowance)
ON CONFLICT (plan_id) DO UPDATE
SET state = 'held',
    held_at = excluded.held_at,
    pass_id = excluded.pass_id,
    reason = excluded.reason,
    sentence = excluded.sentence,
    logins = excluded.logins,
    allowance = excluded.allowance,
    approved_at = NULL,
    approved_until = NULL,
    approval_reason = NULL;

-- name: hold_disables(plan_id, now, pass_id, term, reason)$
-- Covers all that wait to be disabled with the plan, and has them judged again. Returns how many.
WITH locked AS (
    SELECT login_id
    FROM login
    WHERE NOT active AND verdict IN ('leaking', 'quarantined') AND plan_id IS NULL AND intent IS NULL
        AND verdict_until > :now AND (change_not_before IS NULL OR change_not_before <= :now)
    ORDER BY login_id
    FOR NO KEY UPDATE
), event AS (
    INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id, pass_id, term)
    SELECT locked.login_id, 'disable', 'held', :now, :reason, :plan_id, :pass_id, :term
    FROM locked
), held AS (
    UPDATE login
    SET plan_id = :plan_id, evidence_version = login.evidence_version + 1, verdict_until = '-infinity'
    FROM locked
    WHERE login.login_id = locked.login_id
    RETURNING login.login_id
)
SELECT count(*) FROM held;

-- name: hold_enables(plan_id, now, pass_id, term, reason)$
-- Covers all that wait to be enabled with the plan, and has them judged again. Returns how many.
WITH locked AS (
    SELECT login_id
    FROM login
    WHERE active AND verdict = 'drifted' AND reason = 'disabled_by_refreshd' AND plan_id IS NULL AND intent IS NULL
        AND verdict_until > :now AND (change_not_before IS NULL OR change_not_before <= :now)
    ORDER BY login_id
    FOR NO KEY UPDATE
), event AS (
    INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id, pass_id, term)
    SELECT locked.login_id, 'enable', 'held', :now, :reason, :plan_id, :pass_id, :term
    FROM locked
), held AS (
    UPDATE login
    SET plan_id = :plan_id, evidence_version = login.evidence_version + 1, verdict_until = '-infinity'
    FROM locked
    WHERE login.login_id = locked.login_id
    RETURNING login.login_id
)
SELECT count(*) FROM held;

-- name: settle(now)!
-- Closes open plans that cover no login any more; one whose approval ran out is held again.
UPDATE plan
SET state = CASE WHEN EXISTS (SELECT FROM login WHERE login.plan_id = plan.plan_id) THEN 'held' ELSE 'closed' END
WHERE plan.state <> 'closed'
    AND (
        NOT EXISTS (SELECT FROM login WHERE login.plan_id = plan.plan_id)
        OR (plan.state = 'approved' AND plan.approved_until <= :now)
    );

-- name: accept_totals(now, if_before)!
-- Remembers the present totals as plausible, where they were accepted before, and that long ago, and no plan waits for a person's word.
UPDATE landmark
SET accepted_at = :now, accepted_logins = counted.logins, accepted_active = counted.active
FROM (SELECT count(*) AS logins, count(*) FILTER (WHERE login.active) AS active FROM login) AS counted
WHERE landmark.accepted_at < :if_before AND NOT EXISTS (SELECT FROM plan WHERE plan.state = 'held');

-- name: accept_first_totals(plan_id, now)!
-- Remembers the present totals as plausible, because a person has looked at them: with a plan that disables, and no other says how many
-- logins there ought to be.
UPDATE landmark
SET accepted_at = :now, accepted_logins = counted.logins, accepted_active = counted.active
FROM (SELECT count(*) AS logins, count(*) FILTER (WHERE login.active) AS active FROM login) AS counted
WHERE EXISTS (SELECT FROM plan WHERE plan.plan_id = :plan_id AND plan.change = 'disable');

-- name: find(prefix)
-- Plans that a person may mean by an id, or by how it begins; the exact one alone, where there is one.
SELECT plan.plan_id, plan.state
FROM plan
WHERE starts_with(plan.plan_id, :prefix)
ORDER BY plan.plan_id <> :prefix, plan.plan_id
LIMIT 5;

-- name: approve(plan_id, now, until, reason)!
-- From now until then the members may be disabled (or enabled) without regard to the caps.
UPDATE plan
SET state = 'approved', approved_at = :now, approved_until = :until, approval_reason = :reason
WHERE plan_id = :plan_id;

-- name: approve_members(plan_id, now, reason)$
-- Has each member judged again, says so in its history, and wakes the daemon. Returns how many.
WITH locked AS (
    SELECT login.login_id, plan.change
    FROM login
    JOIN plan ON plan.plan_id = login.plan_id
    WHERE login.plan_id = :plan_id
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
), event AS (
    INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id)
    SELECT locked.login_id, locked.change, 'approved', :now, :reason, :plan_id
    FROM locked
), approved AS (
    UPDATE login
    SET evidence_version = login.evidence_version + 1, verdict_until = '-infinity'
    FROM locked
    WHERE login.login_id = locked.login_id
    RETURNING login.login_id
)
SELECT counted.members
FROM (SELECT count(*) AS members FROM approved) AS counted
CROSS JOIN pg_notify(activity_channel(), 'activity');

-- name: listed(closed_too)
-- Held and approved plans, the newest first; `remaining` counts the logins still covered.
SELECT
    plan.plan_id, plan.change, plan.state, plan.held_at, plan.reason, plan.sentence, plan.logins, plan.allowance,
    plan.approved_at, plan.approved_until, plan.approval_reason,
    (SELECT count(*) FROM login WHERE login.plan_id = plan.plan_id) AS remaining
FROM plan
WHERE plan.state <> 'closed' OR :closed_too
ORDER BY plan.held_at DESC, plan.plan_id;
