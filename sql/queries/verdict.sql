-- Evidence goes to the judge, verdicts come back.

-- name: due(now, limit)
-- Evidence that changed, or whose verdict has run out by time alone, the longest due first.
SELECT *
FROM login_evidence
WHERE verdict_until <= :now AND verdict_until < 'infinity'
ORDER BY verdict_until
LIMIT :limit;

-- name: due_and_free(now, limit)
-- Likewise, of those that nobody has locked. Locks them for the moment of the statement, which writes to each, so this is for who has
-- met locks. They are drawn first, as a list: no plan may go through all logins to look each of them up in it.
WITH free AS MATERIALIZED (
    SELECT login.login_id
    FROM login
    WHERE login.verdict_until <= :now AND login.verdict_until < 'infinity'
    ORDER BY login.verdict_until
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
)
SELECT login_evidence.*
FROM free
JOIN login_evidence ON login_evidence.login_id = free.login_id
ORDER BY login_evidence.verdict_until;

-- name: store(login_ids, versions, names, reasons, untils, lanes, stales, error_codes, dispositions, now, term)!
-- Each verdict goes where its evidence is still the one that was judged; elsewhere the row stays due. An active login that needs no
-- enable leaves its plan, and so does one that is disabled. A reassertion ends where the login is not disabled any more: what leaks anew
-- is for the guard to weigh.
WITH given AS (
    SELECT each.login_id, each.version, each.name, each.reason, each.until, each.lane, each.stale, each.error_code, each.disposition
    FROM unnest(
        :login_ids::uuid[], :versions::bigint[], :names::text[], :reasons::text[], :untils::timestamptz[], :lanes::text[],
        :stales::boolean[], :error_codes::text[], :dispositions::text[]
    ) AS each (login_id, version, name, reason, until, lane, stale, error_code, disposition)
), locked AS (
    SELECT
        login.login_id, given.version, given.name, given.reason, given.until, given.lane, given.stale, given.error_code,
        given.disposition, login.intent_id, login.intent_plan_id,
        given.name = 'disabled' OR (login.active AND NOT (given.name = 'drifted' AND given.reason = 'disabled_by_refreshd')) AS needs_no_plan,
        COALESCE(login.intent_reasserts, false) AND given.name <> 'disabled' AS ends_reassertion
    FROM login
    JOIN given ON given.login_id = login.login_id AND given.version = login.evidence_version
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login SKIP LOCKED
), event AS (
    INSERT INTO schedule_change (login_id, change, event, intent_id, at, reason, plan_id, term, detail)
    SELECT
        locked.login_id, 'disable', 'withdrawn', locked.intent_id, :now, 'reassert', locked.intent_plan_id, :term,
        'no repetition any more: it is not disabled'
    FROM locked
    WHERE locked.ends_reassertion
)
UPDATE login
SET verdict = locked.name,
    reason = locked.reason,
    verdict_since = CASE WHEN login.verdict = locked.name THEN login.verdict_since ELSE :now::timestamptz END,
    verdict_until = COALESCE(locked.until, 'infinity'),
    lane = locked.lane,
    stale = locked.stale,
    error_code = locked.error_code,
    disposition = locked.disposition,
    plan_id = CASE WHEN NOT locked.needs_no_plan THEN login.plan_id END,
    intent = CASE WHEN NOT locked.ends_reassertion THEN login.intent END,
    intent_id = CASE WHEN NOT locked.ends_reassertion THEN login.intent_id END,
    intent_reason = CASE WHEN NOT locked.ends_reassertion THEN login.intent_reason END,
    intent_plan_id = CASE WHEN NOT locked.ends_reassertion THEN login.intent_plan_id END,
    intended_at = CASE WHEN NOT locked.ends_reassertion THEN login.intended_at END,
    change_attempts = CASE WHEN locked.ends_reassertion THEN 0 ELSE login.change_attempts END,
    change_not_before = CASE WHEN NOT locked.ends_reassertion THEN login.change_not_before END
FROM locked
WHERE login.login_id = locked.login_id AND login.evidence_version = locked.version;
