-- Institutions: the outcomes of a night, and how each stands.

-- name: outcomes(night, fresh_since, eligible_since, limit)
-- The latest night, by institution and outcome: logins that were eligible when it began, and of which Flinks has spoken since. What it
-- said last counts, as for the judge; a login that was not refreshed, of which no failure is known, says nothing. Logins are grouped
-- here, so what comes back grows with the banks and not with the ledger.
WITH spoken AS (
    SELECT
        login.institution,
        login.refreshed_at >= :night AS refreshed,
        login.refreshed_at >= :fresh_since AS fresh,
        CASE
            WHEN login.listed_since IS NOT NULL AND (login.answered_at IS NULL OR login.answered_at < landmark.reported_at)
            THEN login.listed_code
            ELSE login.answer_code
        END AS code,
        CASE
            WHEN login.listed_since IS NOT NULL AND (login.answered_at IS NULL OR login.answered_at < landmark.reported_at)
            THEN login.listed_state
        END AS state
    FROM login
    CROSS JOIN landmark
    WHERE login.active AND login.institution IS NOT NULL AND login.refreshed_at >= :eligible_since
        AND (
            login.refreshed_at >= :night
            OR login.answered_at >= :night
            OR (login.listed_since IS NOT NULL AND landmark.reported_at >= :night)
        )
)
SELECT
    spoken.institution, spoken.refreshed,
    CASE WHEN NOT spoken.refreshed THEN spoken.code END AS code,
    CASE WHEN NOT spoken.refreshed AND spoken.code IS NULL THEN spoken.state END AS state,
    spoken.fresh,
    count(*) AS logins
FROM spoken
WHERE spoken.refreshed OR spoken.code IS NOT NULL OR spoken.state IS NOT NULL
GROUP BY 1, 2, 3, 4, 5
ORDER BY logins DESC, 1, 3, 4, 5
LIMIT :limit;

-- name: standings(limit)
-- Institutions, those in trouble first.
SELECT
    institution.name AS institution, institution.state AS bank_state, institution.since AS bank_since, institution.proved_at,
    institution.night, institution.refreshed, institution.failed, institution.blaming_users, institution.probe_login_id
FROM institution
ORDER BY institution.state NOT IN ('down', 'suspect'), institution.failed DESC, institution.name
LIMIT :limit;

-- name: store(names, states, sinces, proved_ats, nights, refresheds, faileds, blaming_users)!
-- How institutions stand now.
INSERT INTO institution (name, state, since, proved_at, night, refreshed, failed, blaming_users)
SELECT each.name, each.state, each.since, each.proved_at, each.night, each.refreshed, each.failed, each.blaming_users
FROM unnest(
    :names::text[], :states::text[], :sinces::timestamptz[], :proved_ats::timestamptz[], :nights::timestamptz[], :refresheds::integer[],
    :faileds::integer[], :blaming_users::integer[]
) AS each (name, state, since, proved_at, night, refreshed, failed, blaming_users)
ON CONFLICT (name) DO UPDATE
SET state = excluded.state,
    since = excluded.since,
    proved_at = excluded.proved_at,
    night = excluded.night,
    refreshed = excluded.refreshed,
    failed = excluded.failed,
    blaming_users = excluded.blaming_users,
    probe_login_id = CASE WHEN institution.state = excluded.state THEN institution.probe_login_id END,
    probe_at = CASE WHEN institution.state = excluded.state THEN institution.probe_at END;

-- name: forget(names)!
-- Institutions of which nothing is known any more.
DELETE FROM institution
WHERE institution.name = ANY (:names::text[]);

-- name: rejudge(names)!
-- Logins whose verdict rests on how their institution stands, where that has changed.
WITH locked AS (
    SELECT login.login_id
    FROM login
    WHERE login.active AND login.institution = ANY (:names::text[]) AND login.verdict IN ('failed', 'reconnect')
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
)
UPDATE login
SET evidence_version = login.evidence_version + 1, verdict_until = '-infinity'
FROM locked
WHERE login.login_id = locked.login_id;

-- name: choose_probes(now, before, eligible_since)!
-- For each held institution whose last probe is older: the savable login whose routine was longest ago. It is judged again, and with that
-- it is due before those that wait for the bank.
WITH chosen AS (
    SELECT institution.name, candidate.login_id
    FROM institution
    CROSS JOIN LATERAL (
        SELECT login.login_id
        FROM login
        WHERE login.active AND login.institution = institution.name AND login.refreshed_at >= :eligible_since
            AND (login.not_before IS NULL OR login.not_before <= :now)
        ORDER BY login.routine_at, login.login_id
        LIMIT 1
    ) AS candidate
    WHERE institution.state = 'down' AND (institution.probe_at IS NULL OR institution.probe_at <= :before)
), marked AS (
    UPDATE institution
    SET probe_login_id = chosen.login_id, probe_at = :now
    FROM chosen
    WHERE institution.name = chosen.name
), locked AS (
    SELECT login.login_id
    FROM login
    JOIN chosen ON chosen.login_id = login.login_id
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
)
UPDATE login
SET evidence_version = login.evidence_version + 1, verdict_until = '-infinity'
FROM locked
WHERE login.login_id = locked.login_id;
