-- Who leads this ledger. Here, and only here, the database's clock decides: it is the one clock that all contenders share.

-- name: acquire(holder, ttl)$
-- The new term, where the lease has run out; otherwise no row, and no lock is taken.
UPDATE lease
SET holder = :holder, term = term + 1, acquired_at = clock_timestamp(), expires_at = clock_timestamp() + :ttl::interval
WHERE name = 'leader' AND expires_at <= clock_timestamp()
RETURNING term;

-- name: renew(term, ttl)$
-- The term, where it is still ours, even if it ran out before anybody else came.
UPDATE lease
SET expires_at = clock_timestamp() + :ttl::interval
WHERE name = 'leader' AND term = :term
RETURNING term;

-- name: release(holder)$
-- Lets the lease run out at once where it is this holder's, and tells those who wait.
WITH released AS (
    UPDATE lease
    SET expires_at = '-infinity'
    WHERE name = 'leader' AND holder = :holder AND expires_at > '-infinity'
    RETURNING term
)
SELECT pg_notify(activity_channel(), 'lease') FROM released;

-- name: take_budget(rate_per_minute, term)$
-- Seconds until the first call of this leadership. Even spacing holds over a takeover by itself, unless the rate was lowered: then calls
-- of the last minute count against a limit that they were not made under. No row where the term is not ours any more.
UPDATE budget
SET opens_at = CASE
        WHEN budget.rate_per_minute > :rate_per_minute THEN clock_timestamp() + interval '61 seconds'
        ELSE budget.opens_at
    END,
    rate_per_minute = :rate_per_minute
WHERE EXISTS (SELECT FROM lease WHERE lease.name = 'leader' AND lease.term = :term)
RETURNING CASE WHEN isfinite(budget.opens_at)
    THEN GREATEST(0, EXTRACT(epoch FROM budget.opens_at - clock_timestamp()))
    ELSE 0
END::double precision;

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
