-- Work that is due: drawn by index, in the order of urgency, without the logins that are in hand.

-- name: changes(now, reasserts, busy, limit)
-- Open intents that may be tried now, the longest due first, each with the evidence of this moment. None while writes are paused.
SELECT *
FROM login_evidence
WHERE intent IS NOT NULL AND intent_reasserts = :reasserts
    AND NOT EXISTS (SELECT FROM pause WHERE pause.paused_at IS NOT NULL)
    AND GREATEST(intended_at, change_not_before) <= :now
    AND login_id <> ALL (:busy::uuid[])
ORDER BY GREATEST(intended_at, change_not_before)
LIMIT :limit;

-- name: authorizes(lane, now, routine_start, busy, limit)
-- Active logins of a lane whose routine was not done since then, the longest ago first. Those that were put off come from an index of
-- their own, so that an outage's thousands are not read through at every draw.
WITH due AS (
    (
        SELECT login_id, routine_at
        FROM login
        WHERE active AND not_before IS NULL AND lane = :lane AND routine_at < :routine_start
            AND login_id <> ALL (:busy::uuid[])
        ORDER BY routine_at
        LIMIT :limit
    )
    UNION ALL
    (
        SELECT login_id, routine_at
        FROM login
        WHERE active AND not_before <= :now AND lane = :lane AND routine_at < :routine_start
            AND login_id <> ALL (:busy::uuid[])
        ORDER BY not_before
        LIMIT :limit
    )
)
SELECT login_evidence.*
FROM (SELECT due.login_id, due.routine_at FROM due ORDER BY due.routine_at LIMIT :limit) AS due
JOIN login_evidence ON login_evidence.login_id = due.login_id
ORDER BY due.routine_at;

-- name: manual(now, busy, limit)
-- Stale logins outside the report that had no live Authorize since their last good refresh, the stalest first. Only a verdict on the
-- evidence of now counts: right after a good live Authorize the stored one still says stale. A bank that is down is asked by its probe alone.
SELECT *
FROM login_evidence
WHERE active AND verdict = 'stale' AND verdict_until > :now AND listed_since IS NULL
    AND (manual_at IS NULL OR manual_at < refreshed_at)
    AND (bank_state IS DISTINCT FROM 'down' OR probe_login_id = login_id)
    AND (routine_not_before IS NULL OR routine_not_before <= :now)
    AND login_id <> ALL (:busy::uuid[])
ORDER BY refreshed_at NULLS FIRST
LIMIT :limit;

-- name: is_active(login_id)$
-- Whether the login is active at this moment.
SELECT login.active
FROM login
WHERE login.login_id = :login_id;

-- name: lock_to_send(login_id)$
-- Whether writes are paused. Where they are not, the login is locked, and nobody pauses, until the change is marked as sent: whoever
-- decides about a login locks it too, so what is read of it after this holds until then.
WITH gate AS (
    SELECT pause.paused_at IS NOT NULL AS shut
    FROM pause
    FOR SHARE
), locked AS (
    SELECT login.login_id
    FROM gate
    JOIN login ON NOT gate.shut
    WHERE login.login_id = :login_id
    FOR NO KEY UPDATE OF login
)
SELECT gate.shut
FROM gate
LEFT JOIN locked ON true;

-- name: intended(login_id, change)^
-- The open intent of a login for this change, with the evidence of this moment; no row where there is none any more.
SELECT *
FROM login_evidence
WHERE login_id = :login_id AND intent = :change;

-- name: intended_unless_paused(login_id, change)^
-- Likewise, beside whether writes are paused; all but that is NULL where there is no such intent any more.
SELECT pause.paused_at IS NOT NULL AS is_paused, login_evidence.*
FROM pause
LEFT JOIN login_evidence ON login_evidence.login_id = :login_id AND login_evidence.intent = :change;

-- name: mark_sent(login_id, now, pass_id, term)!
-- From here on the login may be off by us until an answer says otherwise, and one that is about to be switched on is not confirmed off
-- any more, whatever becomes of the answer. A stored `disabled` would be untrue from this moment on, before any judge sees it.
WITH locked AS (
    SELECT
        login.login_id, login.intent, login.intent_id, login.intent_reason, login.intent_plan_id, login.intent = 'enable' AS enables
    FROM login
    WHERE login.login_id = :login_id AND login.intent IS NOT NULL
    FOR NO KEY UPDATE
), event AS (
    INSERT INTO schedule_change (login_id, change, event, intent_id, at, reason, plan_id, pass_id, term)
    SELECT
        locked.login_id, locked.intent, 'sent', locked.intent_id, :now, locked.intent_reason, locked.intent_plan_id, :pass_id, :term
    FROM locked
)
UPDATE login
SET maybe_off_since = :now,
    confirmed_off_at = CASE WHEN NOT locked.enables THEN login.confirmed_off_at END,
    verdict = CASE WHEN locked.enables AND login.verdict = 'disabled' THEN 'leaking' ELSE login.verdict END,
    reason = CASE WHEN locked.enables AND login.verdict = 'disabled' THEN 'enabled' ELSE login.reason END,
    verdict_since = CASE WHEN locked.enables AND login.verdict = 'disabled' THEN :now ELSE login.verdict_since END,
    evidence_version = CASE WHEN locked.enables THEN login.evidence_version + 1 ELSE login.evidence_version END,
    verdict_until = CASE WHEN locked.enables THEN '-infinity' ELSE login.verdict_until END
FROM locked
WHERE login.login_id = locked.login_id;

-- name: withdraw(login_id, detail, now, term)!
-- Closes an intent without a call, and has the login judged again.
WITH locked AS (
    SELECT login_id, intent, intent_id, intent_reason, intent_plan_id
    FROM login
    WHERE login_id = :login_id AND intent IS NOT NULL
    FOR NO KEY UPDATE
), event AS (
    INSERT INTO schedule_change (login_id, change, event, intent_id, at, reason, plan_id, term, detail)
    SELECT locked.login_id, locked.intent, 'withdrawn', locked.intent_id, :now, locked.intent_reason, locked.intent_plan_id, :term, :detail
    FROM locked
)
UPDATE login
SET intent = NULL, intent_id = NULL, intent_reason = NULL, intent_plan_id = NULL, intended_at = NULL,
    change_attempts = 0,
    change_not_before = NULL,
    evidence_version = login.evidence_version + 1,
    verdict_until = '-infinity'
FROM locked
WHERE login.login_id = locked.login_id;

-- name: mark_manual(login_id, now)$
-- Spends the one live Authorize of this stale episode; no row when it is not allowed any more.
UPDATE login
SET manual_at = :now
WHERE login_id = :login_id
    AND active AND verdict = 'stale' AND verdict_until > :now AND listed_since IS NULL
    AND (manual_at IS NULL OR manual_at < refreshed_at)
RETURNING login_id;

-- name: unmark_manual(login_id)$
-- Hands the live Authorize back that never left; nobody else has marked it since, for its login was in hand.
UPDATE login
SET manual_at = NULL
WHERE login_id = :login_id
RETURNING login_id;

-- name: release_refused(since, until)$
-- Forgets refusals recorded since then; those logins rest, and are judged again. Returns how many. What somebody has locked is forgotten
-- with the next refusal.
WITH locked AS (
    SELECT login_id
    FROM login
    WHERE refused_at >= :since
    ORDER BY login_id
    FOR NO KEY UPDATE SKIP LOCKED
), released AS (
    UPDATE login
    SET refused_at = NULL,
        refused_code = NULL,
        attempts = 0,
        not_before = CASE WHEN login.active THEN :until::timestamptz END,
        change_attempts = 0,
        change_not_before = :until,
        evidence_version = login.evidence_version + 1,
        verdict_until = '-infinity'
    FROM locked
    WHERE login.login_id = locked.login_id
    RETURNING login.login_id
)
SELECT count(*) FROM released;
