-- The report: merged set-wise, joined first, so that an entry that comes again as it was costs no write. A large one comes in slices of
-- the LoginIds' order; each slice speaks for all logins from `first` to `last`.

-- name: last_read_at()$
-- When the newest good report was read.
SELECT landmark.reported_at
FROM landmark;

-- name: list(login_ids, attempted_ats, states, codes, read_at)!
-- Logins that are listed now, where that is news: another entry, the flag not known to be on, an answer since the last report, or a
-- change of ours that was sent before this one and never answered. One of which Flinks has said that it is off after this report was
-- read stays off.
WITH card AS (
    SELECT DISTINCT ON (each.login_id) each.login_id, each.attempted_at, each.state, each.code
    FROM unnest(:login_ids::uuid[], :attempted_ats::timestamptz[], :states::text[], :codes::text[])
        AS each (login_id, attempted_at, state, code)
    ORDER BY each.login_id, each.attempted_at DESC NULLS LAST, each.code, each.state
), locked AS (
    SELECT
        login.login_id, card.attempted_at, card.state, card.code,
        login.listed_since IS NOT NULL
            AND login.listed_attempt_at IS NOT DISTINCT FROM card.attempted_at
            AND login.listed_state IS NOT DISTINCT FROM card.state
            AND login.listed_code IS NOT DISTINCT FROM card.code AS as_before
    FROM login
    JOIN card ON card.login_id = login.login_id
    CROSS JOIN landmark
    WHERE NOT COALESCE(login.flag = 'off' AND login.flag_seen_at > :read_at, false)
        AND (
            login.flag <> 'on'
            OR login.listed_since IS NULL
            OR login.listed_attempt_at IS DISTINCT FROM card.attempted_at
            OR login.listed_state IS DISTINCT FROM card.state
            OR login.listed_code IS DISTINCT FROM card.code
            OR login.answered_at > landmark.reported_at
            OR login.maybe_off_since < :read_at
        )
    ORDER BY login.login_id
    FOR NO KEY UPDATE OF login
)
UPDATE login
SET flag = 'on',
    flag_seen_at = GREATEST(login.flag_seen_at, :read_at),
    maybe_off_since = CASE WHEN login.maybe_off_since >= :read_at THEN login.maybe_off_since END,
    listed_since = CASE WHEN locked.as_before THEN login.listed_since ELSE :read_at END,
    listed_attempt_at = locked.attempted_at,
    listed_state = locked.state,
    listed_code = locked.code,
    evidence_version = login.evidence_version + 1,
    verdict_until = '-infinity'
FROM locked
WHERE login.login_id = locked.login_id;

-- name: unlist(login_ids, first, last)!
-- Logins of a slice that are not in the report any more.
WITH locked AS (
    SELECT login_id
    FROM login
    WHERE listed_since IS NOT NULL
        AND login_id BETWEEN :first AND :last
        AND login_id NOT IN (SELECT card.login_id FROM unnest(:login_ids::uuid[]) AS card (login_id))
    ORDER BY login_id
    FOR NO KEY UPDATE
)
UPDATE login
SET listed_since = NULL,
    listed_attempt_at = NULL,
    listed_state = NULL,
    listed_code = NULL,
    evidence_version = login.evidence_version + 1,
    verdict_until = '-infinity'
FROM locked
WHERE login.login_id = locked.login_id;

-- name: add_orphans(login_ids, attempted_ats, states, codes, read_at)!
-- Logins of the report that the ledger does not know.
WITH card AS (
    SELECT DISTINCT ON (each.login_id) each.login_id, each.attempted_at, each.state, each.code
    FROM unnest(:login_ids::uuid[], :attempted_ats::timestamptz[], :states::text[], :codes::text[])
        AS each (login_id, attempted_at, state, code)
    ORDER BY each.login_id, each.attempted_at DESC NULLS LAST, each.code, each.state
), news AS (
    SELECT card.login_id, card.attempted_at, card.state, card.code
    FROM card
    LEFT JOIN orphan ON orphan.login_id = card.login_id
    WHERE NOT EXISTS (SELECT FROM login WHERE login.login_id = card.login_id)
        AND (
            orphan.login_id IS NULL
            OR orphan.attempted_at IS DISTINCT FROM card.attempted_at
            OR orphan.state IS DISTINCT FROM card.state
            OR orphan.code IS DISTINCT FROM card.code
        )
)
INSERT INTO orphan (login_id, first_reported_at, attempted_at, state, code)
SELECT news.login_id, :read_at, news.attempted_at, news.state, news.code
FROM news
ON CONFLICT (login_id) DO UPDATE
SET attempted_at = excluded.attempted_at, state = excluded.state, code = excluded.code;

-- name: drop_orphans(login_ids, first, last)!
-- Those of a slice that are not in the report any more, or that the ledger has come to know.
DELETE FROM orphan
WHERE orphan.login_id BETWEEN :first AND :last
    AND (
        orphan.login_id NOT IN (SELECT card.login_id FROM unnest(:login_ids::uuid[]) AS card (login_id))
        OR EXISTS (SELECT FROM login WHERE login.login_id = orphan.login_id)
    );

-- name: mark_read(read_at)!
-- This report is the newest one now.
UPDATE landmark
SET reported_at = :read_at;

-- name: count_orphans()$
-- How many orphans the newest report left.
SELECT count(*)
FROM orphan;

-- name: orphans(limit)
-- Orphans, the longest known first.
SELECT orphan.login_id, orphan.first_reported_at, landmark.reported_at, orphan.attempted_at, orphan.state, orphan.code
FROM orphan
CROSS JOIN landmark
WHERE NOT EXISTS (SELECT FROM login WHERE login.login_id = orphan.login_id)
ORDER BY orphan.first_reported_at, orphan.login_id
LIMIT :limit;
