-- What is kept for a time only. Each statement is one small step; no row means that nothing is left to do.

-- name: add_day(moment, ahead)$
-- The name of the day of the trace that was made.
SELECT add_call_day(:moment, :ahead);

-- name: drop_day(before)$
-- The name of the day of the trace that was dropped.
SELECT drop_call_day(:before);

-- name: forget_calls(before, limit)$
-- Calls of days that never had a partition of their own.
WITH gone AS (
    DELETE FROM call_default
    WHERE call_default.call_id IN (
        SELECT oldest.call_id FROM call_default AS oldest WHERE oldest.called_at < :before ORDER BY oldest.called_at LIMIT :limit
    )
    RETURNING call_default.call_id
)
SELECT count(*) FROM gone;

-- name: forget_passes(before, limit)$
-- Only the oldest are looked at: passes are numbered in the order of time.
WITH gone AS (
    DELETE FROM reconcile_pass
    WHERE reconcile_pass.started_at < :before
        AND reconcile_pass.pass_id IN (SELECT oldest.pass_id FROM reconcile_pass AS oldest ORDER BY oldest.pass_id LIMIT :limit)
    RETURNING reconcile_pass.pass_id
)
SELECT count(*) FROM gone;

-- name: forget_plans(before, limit)$
-- Closed ones that no login carries any more; what came of them stays in schedule_change.
WITH gone AS (
    DELETE FROM plan
    WHERE plan.plan_id IN (
        SELECT oldest.plan_id
        FROM plan AS oldest
        WHERE oldest.state = 'closed' AND GREATEST(oldest.held_at, oldest.approved_until) < :before
            AND NOT EXISTS (SELECT FROM login WHERE login.plan_id = oldest.plan_id)
        ORDER BY oldest.held_at
        LIMIT :limit
    )
    RETURNING plan.plan_id
)
SELECT count(*) FROM gone;

-- name: forget_account_data(before, limit)$
-- By the date of their fetch.
WITH gone AS (
    DELETE FROM account_data
    WHERE (account_data.login_id, account_data.refreshed_at) IN (
        SELECT oldest.login_id, oldest.refreshed_at
        FROM account_data AS oldest
        WHERE oldest.fetched_at < :before
        ORDER BY oldest.fetched_at
        LIMIT :limit
    )
    RETURNING account_data.login_id
)
SELECT count(*) FROM gone;
