-- The first logins of a plan, and what Flinks answered about them.

-- name: add(plan_id, login_ids)!
-- These were intended as the plan's canaries.
INSERT INTO canary (plan_id, login_id)
SELECT login.intent_plan_id, login.login_id
FROM login
WHERE login.login_id = ANY(:login_ids::uuid[]) AND login.intent_plan_id = :plan_id
ON CONFLICT DO NOTHING;

-- name: of_plans(plan_ids)
-- How the canary of each plan goes; no row for a plan that has none. `open`: intended and not answered.
SELECT
    plan.plan_id,
    count(*) FILTER (WHERE canary.answer IS NULL AND login.intent_plan_id = plan.plan_id) AS open,
    count(*) FILTER (WHERE canary.answer = 'expected') AS expected,
    count(*) FILTER (WHERE canary.answer = 'unexpected') AS unexpected,
    min(canary.code) FILTER (WHERE canary.answer = 'unexpected') AS code,
    min(canary.detail) FILTER (WHERE canary.answer = 'unexpected') AS detail
FROM plan
LEFT JOIN canary ON canary.plan_id = plan.plan_id
LEFT JOIN login ON login.login_id = canary.login_id
WHERE plan.plan_id = ANY (:plan_ids::text[]) AND (plan.canary OR canary.plan_id IS NOT NULL)
GROUP BY plan.plan_id;

-- name: forget(plan_id)!
-- An approval begins with canaries of its own.
DELETE FROM canary
WHERE plan_id = :plan_id;

-- name: answered(login_ids, changes, answers, codes, details, answered_ats)!
-- Flinks answered about changes; where one is a canary of its open intent's plan this is its answer, and the daemon is woken.
WITH given AS (
    SELECT each.login_id, each.change, each.answer, each.code, each.detail, each.answered_at
    FROM unnest(
        :login_ids::uuid[], :changes::text[], :answers::text[], :codes::text[], :details::text[], :answered_ats::timestamptz[]
    ) AS each (login_id, change, answer, code, detail, answered_at)
), told AS (
    UPDATE canary
    SET answer = given.answer, code = given.code, detail = given.detail, answered_at = given.answered_at
    FROM given
    JOIN login ON login.login_id = given.login_id AND login.intent = given.change
    WHERE canary.login_id = given.login_id AND canary.plan_id = login.intent_plan_id AND canary.answer IS NULL
    RETURNING canary.login_id
)
SELECT pg_notify(activity_channel(), 'activity')
FROM (SELECT count(*) AS canaries FROM told) AS counted
WHERE counted.canaries > 0;
