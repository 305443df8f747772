-- Evidence goes to the judge, verdicts come back.

-- name: due(now, limit)
-- Evidence that changed, or whose verdict has run out by time alone, the longest due first.
SELECT
    login.login_id, login.active, login.inactive_since, login.created_at, login.evidence_version,
    login.flag, login.flag_seen_at, login.refreshed_at, login.institution, login.answered_at, login.answer_code, login.cached_call_at,
    CASE WHEN login.listed_since IS NOT NULL THEN landmark.reported_at END AS reported_at,
    login.listed_attempt_at, login.listed_state, login.listed_code,
    login.confirmed_off_at, login.maybe_off_since, login.plan_id, plan.approved_until, login.refused_at, login.refused_code,
    CASE WHEN login.active AND login.intent IS NULL THEN login.attempts ELSE login.change_attempts END AS attempts,
    CASE WHEN login.active AND login.intent IS NULL THEN login.not_before ELSE login.change_not_before END AS not_before
FROM login
CROSS JOIN landmark
LEFT JOIN plan ON plan.plan_id = login.plan_id
WHERE login.verdict_until <= :now AND login.verdict_until < 'infinity'
ORDER BY login.verdict_until
LIMIT :limit;

-- name: store(login_ids, versions, names, reasons, untils, lanes, stales, error_codes, dispositions, now)!
-- Each verdict goes where its evidence is still the one that was judged; elsewhere the row stays due.
WITH given AS (
    SELECT each.login_id, each.version, each.name, each.reason, each.until, each.lane, each.stale, each.error_code, each.disposition
    FROM unnest(
        :login_ids::uuid[], :versions::bigint[], :names::text[], :reasons::text[], :untils::timestamptz[], :lanes::text[],
        :stales::boolean[], :error_codes::text[], :dispositions::text[]
    ) AS each (login_id, version, name, reason, until, lane, stale, error_code, disposition)
), locked AS (
    SELECT
        login.login_id, given.version, given.name, given.reason, given.until, given.lane, given.stale, given.error_code,
        given.disposition
    FROM login
    JOIN given ON given.login_id = login.login_id AND given.version = login.evidence_version
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
)
UPDATE login
SET verdict = locked.name,
    reason = locked.reason,
    verdict_since = CASE WHEN login.verdict = locked.name THEN login.verdict_since ELSE :now::timestamptz END,
    verdict_until = COALESCE(locked.until, 'infinity'),
    lane = locked.lane,
    stale = locked.stale,
    error_code = locked.error_code,
    disposition = locked.disposition
FROM locked
WHERE login.login_id = locked.login_id AND login.evidence_version = locked.version;
