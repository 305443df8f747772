-- What finished conversations do to the ledger. Each statement takes many logins, each login once, and locks them by LoginId. What was
-- given travels along with the locked rows: joined a second time, it would be compared row by row by a plan that takes arrays for short.

-- name: sightings(login_ids, seen_ats, flags, refreshed_ats, institutions, codes, lives, routine_dones)!
-- Authorizes were answered. What Flinks did not say leaves what is stored, and so does what it said before the newest word: the end of
-- a fetch records its Authorize once more. One that is on is not off by an unanswered change of ours. One that turns off may be: a disable
-- that nobody heard an answer to (its sender was frozen, or waited no longer) may have come late, after an enable or a word that it is on.
-- Each one that was sent ends as confirmed or as failed and over, and those that did not are such; a token that could not be had for one
-- is a failure, too, and the end of none.
-- A week is longer than a connection outlives a sleeping host, and than a routine needs to come round; after that it was somebody else.
WITH given AS (
    SELECT
        each.login_id, each.seen_at, each.flag, each.refreshed_at, each.institution, each.code, each.live, each.routine_done
    FROM unnest(
        :login_ids::uuid[], :seen_ats::timestamptz[], :flags::text[], :refreshed_ats::timestamptz[], :institutions::text[],
        :codes::text[], :lives::boolean[], :routine_dones::boolean[]
    ) AS each (login_id, seen_at, flag, refreshed_at, institution, code, live, routine_done)
), locked AS (
    SELECT
        login.login_id, given.seen_at, given.flag, given.refreshed_at, given.institution, given.code, given.live, given.routine_done,
        given.flag <> 'unknown' AND given.seen_at >= COALESCE(login.flag_seen_at, '-infinity') AS tells_flag,
        given.seen_at >= COALESCE(login.answered_at, '-infinity') AS answers,
        CASE WHEN given.flag = 'off' AND login.flag <> 'off' THEN (
            SELECT count(*) FILTER (WHERE event.event = 'sent')
                > count(*) FILTER (WHERE event.event = 'confirmed' OR event.over)
            FROM schedule_change AS event
            WHERE event.login_id = login.login_id AND event.change = 'disable' AND event.at > given.seen_at - interval '7 days'
        ) ELSE false END AS turned_off_late
    FROM login
    JOIN given ON given.login_id = login.login_id
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
)
UPDATE login
SET answered_at = CASE WHEN locked.answers THEN locked.seen_at ELSE login.answered_at END,
    answer_code = CASE WHEN locked.answers THEN locked.code ELSE login.answer_code END,
    flag = CASE WHEN locked.tells_flag THEN locked.flag ELSE login.flag END,
    flag_seen_at = CASE WHEN locked.tells_flag THEN locked.seen_at ELSE login.flag_seen_at END,
    refreshed_at = GREATEST(login.refreshed_at, locked.refreshed_at),
    institution = COALESCE(locked.institution, login.institution),
    cached_call_at = CASE WHEN locked.live THEN login.cached_call_at ELSE GREATEST(login.cached_call_at, locked.seen_at) END,
    routine_at = CASE WHEN locked.routine_done THEN GREATEST(login.routine_at, locked.seen_at) ELSE login.routine_at END,
    maybe_off_since = CASE
        WHEN locked.tells_flag AND locked.flag = 'on' AND locked.seen_at > login.maybe_off_since THEN NULL
        WHEN locked.tells_flag AND locked.turned_off_late THEN COALESCE(login.maybe_off_since, locked.seen_at)
        ELSE login.maybe_off_since
    END,
    refused_at = NULL,
    refused_code = NULL,
    attempts = 0,
    not_before = NULL,
    change_not_before = CASE WHEN login.refused_at IS NULL THEN login.change_not_before END,
    evidence_version = login.evidence_version + 1,
    verdict_until = '-infinity'
FROM locked
WHERE login.login_id = locked.login_id;

-- name: deferrals(login_ids, attempts, not_befores)!
-- Authorizes were not answered: counted, and tried again later. That is no evidence, so nobody is judged again; and it is nothing to
-- one whose clients have left meanwhile, whose disable waits for nobody.
WITH given AS (
    SELECT each.login_id, each.attempts, each.not_before
    FROM unnest(:login_ids::uuid[], :attempts::integer[], :not_befores::timestamptz[]) AS each (login_id, attempts, not_before)
), locked AS (
    SELECT login.login_id, given.attempts, given.not_before
    FROM login
    JOIN given ON given.login_id = login.login_id
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
)
UPDATE login
SET attempts = LEAST(locked.attempts, 32767), not_before = locked.not_before
FROM locked
WHERE login.login_id = locked.login_id AND login.active;

-- name: lock_plans(login_ids)!
-- Whoever rejects a plan of which these are intended has done so by now, or waits until their refusals are stored.
SELECT plan.plan_id
FROM plan
WHERE plan.plan_id IN (
    SELECT login.intent_plan_id FROM login WHERE login.login_id = ANY(:login_ids::uuid[]) AND login.intent IS NOT NULL
)
ORDER BY plan.plan_id
FOR SHARE;

-- name: refusals(login_ids, refused_ats, codes, not_befores)!
-- Flinks refused these for good: the next Authorize waits. An open intent stays open: it is the weekly try, and its failure, an event of
-- its own, says when; the plan that brought it forth is done with it, unless somebody has rejected that meanwhile.
WITH given AS (
    SELECT each.login_id, each.refused_at, each.code, each.not_before
    FROM unnest(:login_ids::uuid[], :refused_ats::timestamptz[], :codes::text[], :not_befores::timestamptz[])
        AS each (login_id, refused_at, code, not_before)
), locked AS (
    SELECT
        login.login_id, given.refused_at, given.code, given.not_before
    FROM login
    JOIN given ON given.login_id = login.login_id
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
)
UPDATE login
SET refused_at = locked.refused_at,
    refused_code = locked.code,
    plan_id = CASE
        WHEN login.intent IS NULL THEN login.plan_id
        WHEN EXISTS (SELECT FROM plan WHERE plan.plan_id = login.plan_id AND plan.state = 'rejected') THEN login.plan_id
    END,
    attempts = 0,
    not_before = CASE WHEN login.active THEN locked.not_before END,
    evidence_version = login.evidence_version + 1,
    verdict_until = '-infinity'
FROM locked
WHERE login.login_id = locked.login_id;

-- name: confirmed_off(login_ids, confirmed_ats, term)!
-- Flinks has said of each that it is off. A listing that was read before says nothing any more.
WITH given AS (
    SELECT each.login_id, each.confirmed_at
    FROM unnest(:login_ids::uuid[], :confirmed_ats::timestamptz[]) AS each (login_id, confirmed_at)
), locked AS (
    SELECT
        login.login_id, given.confirmed_at, login.intent IS NOT DISTINCT FROM 'disable' AS closes,
        login.intent_id, login.intent_reason, login.intent_plan_id, login.intent_outside_caps,
        login.listed_since IS NOT NULL AND landmark.reported_at > given.confirmed_at AS listed_later
    FROM login
    JOIN given ON given.login_id = login.login_id
    CROSS JOIN landmark
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
), event AS (
    INSERT INTO schedule_change (login_id, change, event, intent_id, at, reason, plan_id, outside_caps, term)
    SELECT
        locked.login_id, 'disable', 'confirmed', CASE WHEN locked.closes THEN locked.intent_id END, locked.confirmed_at,
        CASE WHEN locked.closes THEN locked.intent_reason ELSE 'unasked' END, CASE WHEN locked.closes THEN locked.intent_plan_id END,
        locked.intent_outside_caps, :term
    FROM locked
)
UPDATE login
SET confirmed_off_at = locked.confirmed_at,
    maybe_off_since = NULL,
    flag = 'off',
    flag_seen_at = locked.confirmed_at,
    plan_id = NULL,
    intent = CASE WHEN NOT locked.closes THEN login.intent END,
    intent_id = CASE WHEN NOT locked.closes THEN login.intent_id END,
    intent_reason = CASE WHEN NOT locked.closes THEN login.intent_reason END,
    intent_plan_id = CASE WHEN NOT locked.closes THEN login.intent_plan_id END,
    intended_at = CASE WHEN NOT locked.closes THEN login.intended_at END,
    listed_since = CASE WHEN locked.listed_later THEN login.listed_since END,
    listed_attempt_at = CASE WHEN locked.listed_later THEN login.listed_attempt_at END,
    listed_state = CASE WHEN locked.listed_later THEN login.listed_state END,
    listed_code = CASE WHEN locked.listed_later THEN login.listed_code END,
    refused_at = NULL,
    refused_code = NULL,
    attempts = 0,
    not_before = NULL,
    change_attempts = 0,
    change_not_before = NULL,
    evidence_version = login.evidence_version + 1,
    verdict_until = '-infinity'
FROM locked
WHERE login.login_id = locked.login_id;

-- name: confirmed_on(login_ids, confirmed_ats, term)!
-- Flinks has said of each that it is on again. A stored `disabled` would be untrue from this moment on, before any judge sees it.
WITH given AS (
    SELECT each.login_id, each.confirmed_at
    FROM unnest(:login_ids::uuid[], :confirmed_ats::timestamptz[]) AS each (login_id, confirmed_at)
), locked AS (
    SELECT
        login.login_id, given.confirmed_at, login.intent IS NOT DISTINCT FROM 'enable' AS closes,
        login.intent_id, login.intent_reason, login.intent_plan_id, login.intent_outside_caps, login.verdict = 'disabled' AS leaks
    FROM login
    JOIN given ON given.login_id = login.login_id
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
), event AS (
    INSERT INTO schedule_change (login_id, change, event, intent_id, at, reason, plan_id, outside_caps, term)
    SELECT
        locked.login_id, 'enable', 'confirmed', CASE WHEN locked.closes THEN locked.intent_id END, locked.confirmed_at,
        CASE WHEN locked.closes THEN locked.intent_reason ELSE 'unasked' END, CASE WHEN locked.closes THEN locked.intent_plan_id END,
        locked.intent_outside_caps, :term
    FROM locked
)
UPDATE login
SET confirmed_off_at = NULL,
    maybe_off_since = NULL,
    flag = 'on',
    flag_seen_at = locked.confirmed_at,
    plan_id = NULL,
    intent = CASE WHEN NOT locked.closes THEN login.intent END,
    intent_id = CASE WHEN NOT locked.closes THEN login.intent_id END,
    intent_reason = CASE WHEN NOT locked.closes THEN login.intent_reason END,
    intent_plan_id = CASE WHEN NOT locked.closes THEN login.intent_plan_id END,
    intended_at = CASE WHEN NOT locked.closes THEN login.intended_at END,
    refused_at = NULL,
    refused_code = NULL,
    attempts = 0,
    not_before = NULL,
    change_attempts = 0,
    change_not_before = NULL,
    verdict = CASE WHEN locked.leaks THEN 'leaking' ELSE login.verdict END,
    reason = CASE WHEN locked.leaks THEN 'enabled' ELSE login.reason END,
    verdict_since = CASE WHEN locked.leaks THEN locked.confirmed_at ELSE login.verdict_since END,
    evidence_version = login.evidence_version + 1,
    verdict_until = '-infinity'
FROM locked
WHERE login.login_id = locked.login_id;

-- name: failed_changes(login_ids, changes, failed_ats, errors, codes, attempts, not_befores, overs, term)!
-- Changes were sent and not confirmed; the intents stay open.
WITH given AS (
    SELECT each.login_id, each.change, each.failed_at, each.error, each.code, each.attempts, each.not_before, each.over
    FROM unnest(
        :login_ids::uuid[], :changes::text[], :failed_ats::timestamptz[], :errors::text[], :codes::text[], :attempts::integer[],
        :not_befores::timestamptz[], :overs::boolean[]
    ) AS each (login_id, change, failed_at, error, code, attempts, not_before, over)
), locked AS (
    SELECT
        login.login_id, login.intent IS NOT DISTINCT FROM given.change AS open, login.intent_id, login.intent_reason, login.intent_plan_id,
        given.change, given.failed_at, given.error, given.code, given.attempts, given.not_before, given.over
    FROM login
    JOIN given ON given.login_id = login.login_id
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
), event AS (
    INSERT INTO schedule_change (login_id, change, event, intent_id, at, reason, plan_id, term, code, detail, over)
    SELECT
        locked.login_id, locked.change, 'failed', CASE WHEN locked.open THEN locked.intent_id END, locked.failed_at,
        CASE WHEN locked.open THEN locked.intent_reason ELSE 'unasked' END, CASE WHEN locked.open THEN locked.intent_plan_id END,
        :term, locked.code, locked.error, locked.over
    FROM locked
)
UPDATE login
SET change_attempts = LEAST(locked.attempts, 32767), change_not_before = locked.not_before
FROM locked
WHERE login.login_id = locked.login_id AND locked.open;

-- name: account_data(login_ids, refreshed_ats, fetched_ats, depths, bodies)!
-- Fetched data, once for each refresh of a login; the end of today's routine for it.
WITH given AS (
    SELECT each.login_id, each.refreshed_at, each.fetched_at, each.depth, each.body
    FROM unnest(:login_ids::uuid[], :refreshed_ats::timestamptz[], :fetched_ats::timestamptz[], :depths::text[], :bodies::text[])
        AS each (login_id, refreshed_at, fetched_at, depth, body)
), stored AS (
    INSERT INTO account_data (login_id, refreshed_at, fetched_at, depth, body)
    SELECT given.login_id, given.refreshed_at, given.fetched_at, given.depth, given.body::json
    FROM given
    ON CONFLICT (login_id, refreshed_at) DO NOTHING
), locked AS (
    SELECT login.login_id, given.refreshed_at, given.fetched_at
    FROM login
    JOIN given ON given.login_id = login.login_id
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
)
UPDATE login
SET fetched_refresh_at = GREATEST(login.fetched_refresh_at, locked.refreshed_at), routine_at = locked.fetched_at
FROM locked
WHERE login.login_id = locked.login_id;
