-- Logins, for people: what the ledger knows of one, and lists of many.

-- name: one(login_id)^
-- A login with its evidence and the verdict stored for it.
SELECT *
FROM login_evidence
WHERE login_id = :login_id;

-- name: all(after, limit)
-- The next logins by LoginId.
SELECT *
FROM login_evidence
WHERE login_id > :after
ORDER BY login_id
LIMIT :limit;

-- name: of_verdict(verdict, after, limit)
-- The next logins of one verdict by LoginId.
SELECT *
FROM login_evidence
WHERE verdict = :verdict AND login_id > :after
ORDER BY login_id
LIMIT :limit;

-- name: of_plan(plan_id, after, limit)
-- The next members of a plan by LoginId.
SELECT *
FROM login_evidence
WHERE plan_id = :plan_id AND login_id > :after
ORDER BY login_id
LIMIT :limit;

-- name: of_plan_ever(plan_id, after, limit)
-- The next of all that the plan ever covered or intended, by LoginId, each with what became of it (as in plan.fates).
WITH member AS (
    SELECT DISTINCT schedule_change.login_id, schedule_change.change
    FROM schedule_change
    WHERE schedule_change.plan_id = :plan_id AND schedule_change.event IN ('held', 'admitted', 'intended') AND schedule_change.login_id > :after
    ORDER BY schedule_change.login_id
    LIMIT :limit
)
SELECT
    CASE
        WHEN login_evidence.intent_plan_id = :plan_id THEN 'under_way'
        WHEN login_evidence.plan_id = :plan_id THEN 'waiting'
        WHEN EXISTS (
            SELECT FROM schedule_change
            WHERE schedule_change.plan_id = :plan_id AND schedule_change.login_id = member.login_id
                AND schedule_change.event = 'confirmed'
        ) THEN 'done'
        WHEN login_evidence.active = (member.change = 'disable') THEN 'changed_sides'
        WHEN login_evidence.refused_at IS NOT NULL THEN 'refused'
        ELSE 'left'
    END AS fate,
    login_evidence.*
FROM member
JOIN login_evidence ON login_evidence.login_id = member.login_id
ORDER BY login_evidence.login_id;

-- name: clients(login_id)
-- The clients that are linked to a login, as the application has written them.
SELECT client.client_id, client.active, client_login.scheduled
FROM client_login
JOIN client ON client.client_id = client_login.client_id
WHERE client_login.login_id = :login_id
ORDER BY client.client_id;

-- name: changes(login_id, limit)
-- The last events of the schedule of a login, the newest first.
SELECT event_id, login_id, change, event, intent_id, at, reason, outside_caps, plan_id, pass_id, code, detail
FROM schedule_change
WHERE login_id = :login_id
ORDER BY event_id DESC
LIMIT :limit;

-- name: due(routine_start)
-- How many active logins of each lane have not had their routine since then.
SELECT lane, count(*) AS logins
FROM login
WHERE active AND lane IS NOT NULL AND routine_at < :routine_start
GROUP BY lane;

-- name: settle_strays(limit)$
-- Brings logins that disagree with client and client_login into line, and returns how many: a restore without triggers, a writer on an
-- old snapshot. Triggers do this at once; here it is done again for what went past them.
WITH wanted AS (
    SELECT DISTINCT client_login.login_id
    FROM client_login
    JOIN client ON client.client_id = client_login.client_id
    WHERE client_login.scheduled AND client.active
), stray AS (
    SELECT login.login_id
    FROM login
    LEFT JOIN wanted ON wanted.login_id = login.login_id
    WHERE login.active <> (wanted.login_id IS NOT NULL)
    UNION
    SELECT client_login.login_id
    FROM client_login
    WHERE NOT EXISTS (SELECT FROM login WHERE login.login_id = client_login.login_id)
    LIMIT :limit
), listed AS (
    SELECT array_agg(stray.login_id) AS login_ids
    FROM stray
)
SELECT settle_logins(listed.login_ids)
FROM listed
WHERE listed.login_ids IS NOT NULL;

-- name: set_writer_clock(now)$
-- Has the triggers stamp what this transaction writes with our clock, which may run scaled.
SELECT set_config('refreshd.now', :now, true);
