-- Plans: what may become one, what was held, and what a person has approved.

-- name: totals(since, until)^
-- What the guard weighs a plan against; only rows whose verdict is on the present evidence count as waiting. In the window stands what was
-- intended or confirmed in it, and what is intended still, however long ago: it may take effect today. The weekly try of one that Flinks
-- refuses stands in it only from a day before: Flinks may recover. What was admitted stands in it from the start.
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
            WHERE login.intent = 'disable' AND NOT login.intent_outside_caps
                AND (login.refused_at IS NULL OR login.change_not_before IS NULL OR login.change_not_before <= :until)
            UNION
            SELECT login.login_id FROM login JOIN plan ON plan.plan_id = login.plan_id
            WHERE plan.state = 'admitted' AND plan.change = 'disable'
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
            WHERE login.intent = 'enable' AND NOT login.intent_outside_caps
                AND (login.refused_at IS NULL OR login.change_not_before IS NULL OR login.change_not_before <= :until)
            UNION
            SELECT login.login_id FROM login JOIN plan ON plan.plan_id = login.plan_id
            WHERE plan.state = 'admitted' AND plan.change = 'enable'
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

-- name: approved_disables(plan_id, now, limit)
-- Members of approved and admitted disabling plans (or of one) that were judged since, and still leak.
SELECT login.login_id, login.reason, login.plan_id
FROM plan
JOIN login ON login.plan_id = plan.plan_id
WHERE plan.state IN ('approved', 'admitted') AND plan.change = 'disable' AND plan.approved_until > :now
    AND (:plan_id::text IS NULL OR plan.plan_id = :plan_id)
    AND NOT login.active AND login.verdict IN ('leaking', 'quarantined') AND login.intent IS NULL
    AND login.verdict_until > :now AND (login.change_not_before IS NULL OR login.change_not_before <= :now)
ORDER BY login.plan_id, login.login_id
LIMIT :limit;

-- name: approved_enables(plan_id, now, limit)
-- Members of approved and admitted enabling plans (or of one) that were judged since, and still want it.
SELECT login.login_id, login.reason, login.plan_id
FROM plan
JOIN login ON login.plan_id = plan.plan_id
WHERE plan.state IN ('approved', 'admitted') AND plan.change = 'enable' AND plan.approved_until > :now
    AND (:plan_id::text IS NULL OR plan.plan_id = :plan_id)
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

-- name: open(plan_id, change, state, until, canary, now, pass_id, reason, sentence, logins, allowance, ledger_logins, ledger_active, not_confirmed_off, changed_in_window, accepted_active, max_fraction, max_count)!
-- A held plan, or an admitted one with the end of its day; one of the same members that was stored before is opened again, without its
-- old approval.
INSERT INTO plan (
    plan_id, change, state, held_at, pass_id, reason, sentence, logins, allowance,
    ledger_logins, ledger_active, not_confirmed_off, changed_in_window, accepted_active, max_fraction, max_count,
    approved_at, approved_until, canary
)
VALUES (
    :plan_id, :change, :state, :now, :pass_id, :reason, :sentence, :logins, :allowance,
    :ledger_logins, :ledger_active, :not_confirmed_off, :changed_in_window, :accepted_active, :max_fraction, :max_count,
    CASE WHEN :until::timestamptz IS NOT NULL THEN :now::timestamptz END, :until, :canary
)
ON CONFLICT (plan_id) DO UPDATE
SET state = excluded.state,
    held_at = excluded.held_at,
    pass_id = excluded.pass_id,
    reason = excluded.reason,
    sentence = excluded.sentence,
    logins = excluded.logins,
    allowance = excluded.allowance,
    ledger_logins = excluded.ledger_logins,
    ledger_active = excluded.ledger_active,
    not_confirmed_off = excluded.not_confirmed_off,
    changed_in_window = excluded.changed_in_window,
    accepted_active = excluded.accepted_active,
    max_fraction = excluded.max_fraction,
    max_count = excluded.max_count,
    canary = excluded.canary,
    approved_at = excluded.approved_at,
    approved_until = excluded.approved_until,
    approval_reason = NULL,
    rejected_at = NULL,
    rejection_reason = NULL;

-- name: cover_disables(plan_id, now, pass_id, term, reason)$
-- Covers all that wait to be disabled with the plan, and has them judged again. Returns the id that a plan of exactly these logins has.
WITH locked AS (
    SELECT login_id
    FROM login
    WHERE NOT active AND verdict IN ('leaking', 'quarantined') AND plan_id IS NULL AND intent IS NULL
        AND verdict_until > :now AND (change_not_before IS NULL OR change_not_before <= :now)
    ORDER BY login_id
    FOR NO KEY UPDATE
), event AS (
    INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id, pass_id, term)
    SELECT locked.login_id, 'disable', 'admitted', :now, :reason, :plan_id, :pass_id, :term
    FROM locked
), held AS (
    UPDATE login
    SET plan_id = :plan_id, evidence_version = login.evidence_version + 1, verdict_until = '-infinity'
    FROM locked
    WHERE login.login_id = locked.login_id
    RETURNING login.login_id
)
SELECT left(encode(sha256(convert_to(string_agg(held.login_id || E' disable\n', '' ORDER BY held.login_id), 'UTF8')), 'hex'), 16)
FROM held;

-- name: cover_enables(plan_id, now, pass_id, term, reason)$
-- Covers all that wait to be enabled with the plan, and has them judged again. Returns the id that a plan of exactly these logins has.
WITH locked AS (
    SELECT login_id
    FROM login
    WHERE active AND verdict = 'drifted' AND reason = 'disabled_by_refreshd' AND plan_id IS NULL AND intent IS NULL
        AND verdict_until > :now AND (change_not_before IS NULL OR change_not_before <= :now)
    ORDER BY login_id
    FOR NO KEY UPDATE
), event AS (
    INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id, pass_id, term)
    SELECT locked.login_id, 'enable', 'admitted', :now, :reason, :plan_id, :pass_id, :term
    FROM locked
), held AS (
    UPDATE login
    SET plan_id = :plan_id, evidence_version = login.evidence_version + 1, verdict_until = '-infinity'
    FROM locked
    WHERE login.login_id = locked.login_id
    RETURNING login.login_id
)
SELECT left(encode(sha256(convert_to(string_agg(held.login_id || E' enable\n', '' ORDER BY held.login_id), 'UTF8')), 'hex'), 16)
FROM held;

-- name: plan_follows()!
-- In this transaction logins may belong to a plan whose row comes after them.
SET CONSTRAINTS login_plan_id_fkey DEFERRED;

-- name: plan_is_there()!
-- Not any more: what came before it is checked now.
SET CONSTRAINTS login_plan_id_fkey IMMEDIATE;

-- name: hold_disables(now, pass_id, term, reason)^
-- Covers all that wait to be disabled with a plan of exactly these, and has them judged again. Returns its id and how many they are: who
-- was counted before it may have become others. Also those of which something new was heard meanwhile: left out, they would go by
-- themselves in the next pass. Not those that Flinks has confirmed off meanwhile.
WITH locked AS (
    SELECT login_id
    FROM login
    WHERE NOT active AND verdict IN ('leaking', 'quarantined') AND plan_id IS NULL AND intent IS NULL
        AND (verdict_until > :now OR confirmed_off_at IS NULL OR flag = 'on' OR listed_since IS NOT NULL)
        AND (change_not_before IS NULL OR change_not_before <= :now)
    ORDER BY login_id
    FOR NO KEY UPDATE
), named AS (
    SELECT left(encode(sha256(convert_to(string_agg(login_id || E' disable\n', '' ORDER BY login_id), 'UTF8')), 'hex'), 16) AS plan_id
    FROM locked
), event AS (
    INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id, pass_id, term)
    SELECT locked.login_id, 'disable', 'held', :now, :reason, named.plan_id, :pass_id, :term
    FROM locked
    CROSS JOIN named
), held AS (
    UPDATE login
    SET plan_id = named.plan_id, evidence_version = login.evidence_version + 1, verdict_until = '-infinity'
    FROM locked
    CROSS JOIN named
    WHERE login.login_id = locked.login_id
    RETURNING login.plan_id
)
SELECT min(held.plan_id) AS plan_id, count(*) AS logins
FROM held;

-- name: hold_enables(now, pass_id, term, reason)^
-- Likewise, all that wait to be enabled, but those that have been confirmed on.
WITH locked AS (
    SELECT login_id
    FROM login
    WHERE active AND verdict = 'drifted' AND reason = 'disabled_by_refreshd' AND plan_id IS NULL AND intent IS NULL
        AND (verdict_until > :now OR confirmed_off_at IS NOT NULL OR maybe_off_since IS NOT NULL)
        AND (change_not_before IS NULL OR change_not_before <= :now)
    ORDER BY login_id
    FOR NO KEY UPDATE
), named AS (
    SELECT left(encode(sha256(convert_to(string_agg(login_id || E' enable\n', '' ORDER BY login_id), 'UTF8')), 'hex'), 16) AS plan_id
    FROM locked
), event AS (
    INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id, pass_id, term)
    SELECT locked.login_id, 'enable', 'held', :now, :reason, named.plan_id, :pass_id, :term
    FROM locked
    CROSS JOIN named
), held AS (
    UPDATE login
    SET plan_id = named.plan_id, evidence_version = login.evidence_version + 1, verdict_until = '-infinity'
    FROM locked
    CROSS JOIN named
    WHERE login.login_id = locked.login_id
    RETURNING login.plan_id
)
SELECT min(held.plan_id) AS plan_id, count(*) AS logins
FROM held;

-- name: carried_out(change, now)
-- Approved and admitted plans whose time runs, the oldest first.
SELECT plan_id, state, canary
FROM plan
WHERE state IN ('approved', 'admitted') AND change = :change AND approved_until > :now
ORDER BY held_at, plan_id;

-- name: hold_back(plan_id, now, pass_id, reason, sentence)$
-- The rest of a plan that is on its way is held. No row where somebody has rejected it meanwhile.
UPDATE plan
SET state = 'held', held_at = :now, pass_id = :pass_id, reason = :reason, sentence = :sentence,
    approved_at = NULL, approved_until = NULL, approval_reason = NULL
WHERE plan_id = :plan_id AND state IN ('approved', 'admitted')
RETURNING plan_id;

-- name: run_out(now)
-- Admitted plans whose day is over, locked, so that none is rejected before its members are free.
SELECT plan_id
FROM plan
WHERE state = 'admitted' AND approved_until <= :now
ORDER BY plan_id
FOR NO KEY UPDATE;

-- name: release(plan_id)!
-- What an admitted plan did not get to in its day is free, and is weighed anew.
WITH locked AS (
    SELECT login.login_id
    FROM login
    WHERE login.plan_id = :plan_id
    ORDER BY login.login_id
    FOR NO KEY UPDATE
)
UPDATE login
SET plan_id = NULL, evidence_version = login.evidence_version + 1, verdict_until = '-infinity'
FROM locked
WHERE login.login_id = locked.login_id;

-- name: settle(now)!
-- Closes open plans that cover no login any more; one whose approval ran out is held again. Who rejected one, and why, is its decision.
UPDATE plan
SET state = CASE WHEN EXISTS (SELECT FROM login WHERE login.plan_id = plan.plan_id) THEN 'held' ELSE 'closed' END,
    rejected_at = NULL, rejection_reason = NULL
WHERE plan.state <> 'closed'
    AND (
        NOT EXISTS (SELECT FROM login WHERE login.plan_id = plan.plan_id)
        OR (plan.state = 'approved' AND plan.approved_until <= :now)
    );

-- name: accept_totals(now, if_before)!
-- Remembers the present totals as plausible, where they were accepted before, and that long ago, and no plan waits for a person's word,
-- nor was rejected: then a person has said that the client list is not to be believed.
UPDATE landmark
SET accepted_at = :now, accepted_logins = counted.logins, accepted_active = counted.active
FROM (SELECT count(*) AS logins, count(*) FILTER (WHERE login.active) AS active FROM login) AS counted
WHERE landmark.accepted_at < :if_before AND NOT EXISTS (SELECT FROM plan WHERE plan.state IN ('held', 'rejected'));

-- name: accept_first_totals(plan_id, now)!
-- Remembers the present totals as plausible, because a person has looked at them: with a plan that disables, and no other says how many
-- logins there ought to be.
UPDATE landmark
SET accepted_at = :now, accepted_logins = counted.logins, accepted_active = counted.active
FROM (SELECT count(*) AS logins, count(*) FILTER (WHERE login.active) AS active FROM login) AS counted
WHERE EXISTS (SELECT FROM plan WHERE plan.plan_id = :plan_id AND plan.change = 'disable');

-- name: find(prefix)
-- Plans that a person may mean by an id, or by how it begins; the exact one alone, where there is one. `goes_on`: something that was
-- intended of it is not over yet, and a rejection would stop it (`bind_rest`). A repetition of the very same disables has its id, too.
SELECT
    plan.plan_id, plan.state,
    EXISTS (
        SELECT FROM login
        WHERE login.intent IS NOT NULL AND login.active = (login.intent = 'enable') AND NOT login.intent_reasserts
            AND login.intent_plan_id = plan.plan_id
    ) AS goes_on
FROM plan
WHERE starts_with(plan.plan_id, :prefix)
ORDER BY plan.plan_id <> :prefix, plan.plan_id
LIMIT 5;

-- name: approve(plan_id, now, until, reason, canary_above)$
-- From now until then the members may be disabled (or enabled) without regard to the caps; more than so many begin with a canary. No row
-- for one that covers no login any more.
UPDATE plan
SET state = 'approved', approved_at = :now, approved_until = :until, approval_reason = :reason,
    rejected_at = NULL, rejection_reason = NULL,
    canary = (SELECT count(*) > :canary_above FROM login WHERE login.plan_id = :plan_id)
WHERE plan_id = :plan_id AND state <> 'closed' AND EXISTS (SELECT FROM login WHERE login.plan_id = plan.plan_id)
RETURNING plan_id;

-- name: reject(plan_id, now, reason)$
-- Nothing of it is sent from now on; its members stay under it, so that no other plan takes them up. No row for one that is over.
UPDATE plan
SET state = 'rejected', rejected_at = :now, rejection_reason = :reason,
    approved_at = NULL, approved_until = NULL, approval_reason = NULL
WHERE plan_id = :plan_id
    AND (
        state <> 'closed'
        OR EXISTS (
            SELECT FROM login
            WHERE login.intent IS NOT NULL AND login.active = (login.intent = 'enable') AND NOT login.intent_reasserts
                AND login.intent_plan_id = plan.plan_id
        )
    )
RETURNING plan_id;

-- name: bind_rest(plan_id)!
-- What is intended of a plan, and is not its member (it went at once, or Flinks refused it), belongs to it from now on: the second look
-- finds it rejected, and no other plan takes it up.
-- Not the login whose clients have just changed sides: its intent is withdrawn, and a plan of the contrary must be free to take it up.
WITH locked AS (
    SELECT login.login_id
    FROM login
    WHERE login.intent IS NOT NULL AND login.active = (login.intent = 'enable') AND NOT login.intent_reasserts
        AND login.intent_plan_id = :plan_id AND login.plan_id IS NULL
    ORDER BY login.login_id
    FOR NO KEY UPDATE
)
UPDATE login
SET plan_id = :plan_id
FROM locked
WHERE login.login_id = locked.login_id;

-- name: tell_members(plan_id, event, now, reason)$
-- Has each member judged again after a person's word, writes it into its history, and wakes the daemon. Returns how many.
WITH locked AS (
    SELECT login.login_id, plan.change
    FROM login
    JOIN plan ON plan.plan_id = login.plan_id
    WHERE login.plan_id = :plan_id
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
), event AS (
    INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id)
    SELECT locked.login_id, locked.change, :event, :now, :reason, :plan_id
    FROM locked
), told AS (
    UPDATE login
    SET evidence_version = login.evidence_version + 1, verdict_until = '-infinity'
    FROM locked
    WHERE login.login_id = locked.login_id
    RETURNING login.login_id
)
SELECT counted.members
FROM (SELECT count(*) AS members FROM told) AS counted
CROSS JOIN pg_notify(activity_channel(), 'activity');

-- name: fates(plan_id)
-- What became of all that the plan ever covered or intended, counted. The order of the cases is that of what an operator asks first.
WITH member AS (
    SELECT DISTINCT schedule_change.login_id, schedule_change.change
    FROM schedule_change
    WHERE schedule_change.plan_id = :plan_id AND schedule_change.event IN ('held', 'admitted', 'intended')
)
SELECT each.fate, count(*) AS logins
FROM (
    SELECT CASE
        WHEN login.login_id IS NULL THEN 'forgotten'
        WHEN login.intent_plan_id = :plan_id THEN 'under_way'
        WHEN login.plan_id = :plan_id THEN 'waiting'
        WHEN EXISTS (
            SELECT FROM schedule_change
            WHERE schedule_change.plan_id = :plan_id AND schedule_change.login_id = member.login_id
                AND schedule_change.event = 'confirmed'
        ) THEN 'done'
        WHEN login.active = (member.change = 'disable') THEN 'changed_sides'
        WHEN login.refused_at IS NOT NULL THEN 'refused'
        ELSE 'left'
    END AS fate
    FROM member
    LEFT JOIN login ON login.login_id = member.login_id
) AS each
GROUP BY each.fate;

-- name: one(plan_id)^
-- A plan, in whatever state; `remaining` counts the logins still covered.
SELECT
    plan.plan_id, plan.change, plan.state, plan.held_at, plan.reason, plan.sentence, plan.logins, plan.allowance,
    plan.ledger_logins, plan.ledger_active, plan.not_confirmed_off, plan.changed_in_window, plan.accepted_active,
    plan.max_fraction, plan.max_count,
    plan.approved_at, plan.approved_until, plan.approval_reason, plan.rejected_at, plan.rejection_reason,
    (SELECT count(*) FROM login WHERE login.plan_id = plan.plan_id) AS remaining
FROM plan
WHERE plan.plan_id = :plan_id;

-- name: listed(closed)
-- Held, approved, admitted and rejected plans, and so many of the closed ones, the newest first; `remaining` counts the logins still
-- covered.
SELECT
    plan.plan_id, plan.change, plan.state, plan.held_at, plan.reason, plan.sentence, plan.logins, plan.allowance,
    plan.ledger_logins, plan.ledger_active, plan.not_confirmed_off, plan.changed_in_window, plan.accepted_active,
    plan.max_fraction, plan.max_count,
    plan.approved_at, plan.approved_until, plan.approval_reason, plan.rejected_at, plan.rejection_reason,
    (SELECT count(*) FROM login WHERE login.plan_id = plan.plan_id) AS remaining
FROM plan
WHERE plan.state <> 'closed'
    OR plan.plan_id IN (
        SELECT newest.plan_id
        FROM plan AS newest
        WHERE newest.state = 'closed'
        ORDER BY newest.held_at DESC, newest.plan_id
        LIMIT :closed
    )
ORDER BY plan.held_at DESC, plan.plan_id;
