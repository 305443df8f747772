-- Who leads this ledger. Here, and only here, the database's clock decides: it is the one clock that all contenders share.

-- name: acquire(holder, ttl, ours, limit)^
-- The new term, where the lease has run out, or is ours by an answer that we never heard; otherwise NULL, and no lock is taken. With it
-- how many seconds the lease lasts that was found, and what time it is. Nobody takes it whose clock (NULL: not to be compared) disagrees.
WITH taken AS (
    UPDATE lease
    SET holder = :holder, term = term + 1, acquired_at = clock_timestamp(), expires_at = clock_timestamp() + :ttl::interval
    WHERE name = 'leader' AND (expires_at <= clock_timestamp() OR holder = :holder)
        AND COALESCE(:ours::timestamptz BETWEEN clock_timestamp() - :limit::interval AND clock_timestamp() + :limit::interval, true)
    RETURNING term
)
SELECT
    (SELECT taken.term FROM taken) AS term,
    CASE WHEN isfinite(lease.expires_at)
        THEN GREATEST(0, EXTRACT(epoch FROM lease.expires_at - clock_timestamp()))
        ELSE 0
    END::double precision AS left_seconds,
    clock_timestamp() AS clock
FROM lease
WHERE lease.name = 'leader';

-- name: end_overdue_writes()$
-- Ends the transactions that keep a lease that has run out from being taken over, and says how many: those of a leader that froze, or went
-- silent, in the middle of a statement. Whoever holds the row to write under a term has this lock; what began before the lease ran out is
-- never a successor's. Where the lease was released, that is whatever began before this question: a successor, whose lease we would see,
-- writes later. Who asks for the lease, or feeds the ledger without one, has no such lock.
SELECT count(*) FILTER (WHERE pg_terminate_backend(activity.pid))
FROM lease
JOIN pg_locks AS held
    ON held.locktype = 'relation' AND held.relation = 'lease'::regclass AND held.mode = 'RowShareLock' AND held.granted
JOIN pg_stat_activity AS activity
    ON activity.pid = held.pid AND activity.datname = current_database() AND activity.usename = current_user
WHERE lease.name = 'leader'
    AND lease.expires_at <= clock_timestamp()
    AND activity.xact_start < CASE WHEN isfinite(lease.expires_at) THEN lease.expires_at ELSE transaction_timestamp() END
    AND activity.pid <> pg_backend_pid();

-- name: renew(term, ttl)^
-- What time it is, where the term is still ours, even if it ran out before anybody else came.
UPDATE lease
SET expires_at = clock_timestamp() + :ttl::interval
WHERE name = 'leader' AND term = :term
RETURNING clock_timestamp() AS clock;

-- name: release(holder)$
-- Lets the lease run out at once where it is this holder's, and tells those who wait.
WITH released AS (
    UPDATE lease
    SET expires_at = '-infinity'
    WHERE name = 'leader' AND holder = :holder AND expires_at > '-infinity'
    RETURNING term
)
SELECT pg_notify(activity_channel(), 'lease') FROM released;

-- name: give_up_on_locks(lock_timeout)!
-- A question that nobody waits for any more must not be answered later, when it would give the lease to one who has left.
SELECT set_config('lock_timeout', :lock_timeout, false);

-- name: take_budget(rate_per_minute, permit_seconds, term)^
-- Begins the calls of this term; no row where another one was issued. Calls of the term before may leave for as long as a permit lives,
-- so its successor begins that much later; and a rate that was lowered waits out the minute whose calls were made under the higher one.
WITH fence AS (
    SELECT lease.term FROM lease WHERE lease.name = 'leader' AND lease.term = :term FOR KEY SHARE
)
UPDATE budget
SET opens_at = CASE
        WHEN budget.rate_per_minute > :rate_per_minute THEN statement_timestamp() + interval '61 seconds'
        ELSE GREATEST(budget.opens_at, statement_timestamp())
    END + :permit_seconds::double precision * interval '1 second',
    rate_per_minute = :rate_per_minute
FROM fence
RETURNING budget.rate_in_force, CASE WHEN isfinite(budget.rests_until)
    THEN GREATEST(0, EXTRACT(epoch FROM budget.rests_until - statement_timestamp()))
    ELSE 0
END::double precision AS rest_seconds;

-- name: claim(slots, slot_seconds, term)^
-- Claims the next slots of the budget, one after the other, where they begin now or nearly; says in how many seconds they do. No row where
-- the term is not ours any more. No two claims cover the same moment, whoever makes them: the row is the one clock of all calls, and while
-- a claim is made nobody can take the lease over. A moment further ahead than a minute comes from a clock that was set back since.
WITH fence AS (
    SELECT lease.term FROM lease WHERE lease.name = 'leader' AND lease.term = :term FOR KEY SHARE
), free AS (
    SELECT
        LEAST(GREATEST(budget.opens_at, statement_timestamp()), statement_timestamp() + interval '62 seconds') AS begins_at,
        budget.opens_at <= statement_timestamp() + interval '250 milliseconds' AS granted
    FROM budget
    CROSS JOIN fence
    FOR NO KEY UPDATE OF budget
)
UPDATE budget
SET opens_at = CASE
        WHEN free.granted THEN free.begins_at + :slots * :slot_seconds::double precision * interval '1 second'
        ELSE free.begins_at
    END
FROM free
RETURNING free.granted, EXTRACT(epoch FROM free.begins_at - statement_timestamp())::double precision AS wait_seconds;

-- name: fence(term)$
-- The term, where it is still the newest one. Until the transaction ends nobody can take the lease over.
SELECT term
FROM lease
WHERE name = 'leader' AND term = :term
FOR KEY SHARE;

-- name: holder()^
-- Who leads, for people; `held` by the clock that decides.
SELECT holder, term, acquired_at, expires_at, expires_at > clock_timestamp() AS held
FROM lease
WHERE name = 'leader' AND term > 0 AND expires_at > '-infinity';

-- name: channel()$
-- Where this schema notifies.
SELECT activity_channel();

-- name: ping(said)$
-- A notification that means nothing but that it was heard.
SELECT pg_notify(activity_channel(), :said);
