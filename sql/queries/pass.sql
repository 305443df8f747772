-- Passes: what each one found and did.

-- name: start(started_at, term)$
-- The number of the pass.
INSERT INTO reconcile_pass (started_at, term)
VALUES (:started_at, :term)
RETURNING pass_id;

-- name: finish(pass_id, finished_at, judged, intended, held, phase_seconds, withheld, failure)!
-- The account of the pass.
UPDATE reconcile_pass
SET finished_at = :finished_at, judged = :judged, intended = :intended, held = :held, phase_seconds = :phase_seconds::jsonb,
    withheld = :withheld::jsonb, failure = :failure
WHERE pass_id = :pass_id;

-- name: newest(limit)
-- The last passes, the newest first.
SELECT pass_id, started_at, finished_at, judged, intended, held, failure
FROM reconcile_pass
ORDER BY pass_id DESC
LIMIT :limit;
