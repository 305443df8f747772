-- What refreshd holds itself back with, for whoever leads next. These are durations that outlive a process, so here the database's clock
-- decides, as with the lease.

-- name: keep_rate(rate, rest_seconds)!
-- The rate in force from now on (NULL: all that the setting allows), and until when nobody calls at all.
UPDATE budget
SET rate_in_force = :rate,
    rests_until = clock_timestamp() + :rest_seconds::double precision * interval '1 second';

-- name: rate_in_force()^
-- The rate in force, where it is lower than the setting.
SELECT budget.rate_in_force
FROM budget;

-- name: stop(credential, fingerprint, rest_seconds)!
-- Flinks refuses this credential, or it is being tried again: nobody else uses it for so long.
INSERT INTO credential_stop (credential, fingerprint, stopped_at, rests_until)
VALUES (
    :credential, :fingerprint, clock_timestamp(), clock_timestamp() + :rest_seconds::double precision * interval '1 second'
)
ON CONFLICT (credential) DO UPDATE
SET stopped_at = CASE
        WHEN credential_stop.fingerprint = excluded.fingerprint THEN credential_stop.stopped_at
        ELSE excluded.stopped_at
    END,
    fingerprint = excluded.fingerprint,
    rests_until = excluded.rests_until;

-- name: release(credential)!
-- Flinks has accepted this credential.
DELETE FROM credential_stop
WHERE credential_stop.credential = :credential;

-- name: stops()
-- Credentials that Flinks refuses, and the seconds that each still rests; 0 or less: it may be tried.
SELECT
    credential_stop.credential, credential_stop.fingerprint,
    EXTRACT(epoch FROM credential_stop.rests_until - clock_timestamp())::double precision AS rest_seconds
FROM credential_stop
ORDER BY credential_stop.credential;
