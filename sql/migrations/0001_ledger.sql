-- The ledger: the application's two tables, and refreshd's own. No schema is named here: the search path carries it.
-- Locks: creates only; nothing that exists is touched.
--
-- A company whose application has a role of its own grants it, and nothing more:
--     GRANT USAGE ON SCHEMA ... TO application;
--     GRANT SELECT, INSERT, UPDATE, DELETE ON client, client_login TO application;
--     GRANT SELECT ON login_status TO application;

-- The functions below run with their owner's rights and keep the search path of this moment: the ledger's schema, and temporary
-- tables last, so that no caller can put a table of his own in front of ours.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- The application's words -----------------------------------------------------------------------------------------------------------

CREATE TABLE client (
    client_id text PRIMARY KEY CHECK (client_id <> ''),
    active boolean NOT NULL DEFAULT true
);

CREATE TABLE client_login (
    client_id text NOT NULL REFERENCES client (client_id) ON UPDATE CASCADE ON DELETE CASCADE,
    login_id uuid NOT NULL,
    -- false: linked, but nightly refresh is not wanted
    scheduled boolean NOT NULL DEFAULT true,
    PRIMARY KEY (client_id, login_id)
);

CREATE INDEX client_login_by_login ON client_login (login_id);

-- refreshd's own: who leads, and what was done ---------------------------------------------------------------------------------------

-- One row. The term is unique so that it counts as a key: a writer that holds the row FOR KEY SHARE keeps a takeover waiting (which
-- changes the term) and lets a renewal pass (which does not).
CREATE TABLE lease (
    name text PRIMARY KEY,
    holder text NOT NULL,
    term bigint NOT NULL UNIQUE,
    acquired_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

INSERT INTO lease (name, holder, term, acquired_at, expires_at) VALUES ('leader', '', 0, '-infinity', '-infinity');

-- One row, the clock of all calls to Flinks: the rate under which the newest leader calls, and where the slots that nobody has claimed yet
-- begin. Flinks may have asked for fewer calls: rate_in_force is what it lets us call (NULL: all that the setting allows), and before
-- rests_until nobody calls at all.
CREATE TABLE budget (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    rate_per_minute integer CHECK (rate_per_minute > 0),
    rate_in_force integer CHECK (rate_in_force > 0),
    opens_at timestamptz NOT NULL DEFAULT '-infinity',
    rests_until timestamptz NOT NULL DEFAULT '-infinity'
);

INSERT INTO budget DEFAULT VALUES;

-- A credential that Flinks refuses, so that a daemon that starts over and over does not try it at every start; and, named settings, base URL
-- and customer id where Flinks knew none of many LoginIds. The fingerprint, a few bits of a hash, says only whether it is still the same
-- one: a new key is tried at once.
CREATE TABLE credential_stop (
    credential text PRIMARY KEY,
    fingerprint text NOT NULL,
    stopped_at timestamptz NOT NULL,
    rests_until timestamptz NOT NULL
);

CREATE TABLE reconcile_pass (
    pass_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    term bigint NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    judged integer NOT NULL DEFAULT 0,
    intended integer NOT NULL DEFAULT 0,
    held integer NOT NULL DEFAULT 0,
    -- seconds by phase, and what the guard withheld, one sentence each
    phase_seconds jsonb NOT NULL DEFAULT '{}',
    withheld jsonb NOT NULL DEFAULT '[]',
    failure text
);

-- Every plan that the guard held or let through. Its members are the logins that carry its plan_id: those of a held one, and of one that
-- is large enough for a canary (then `approved_*` say how long its word lasts); a small one is sent at once, so it is closed from the start.
CREATE TABLE plan (
    plan_id text PRIMARY KEY CHECK (plan_id <> ''),
    change text NOT NULL CHECK (change IN ('disable', 'enable')),
    state text NOT NULL CHECK (state IN ('held', 'approved', 'admitted', 'rejected', 'closed')),
    held_at timestamptz NOT NULL,
    pass_id bigint,
    reason text NOT NULL,
    sentence text NOT NULL,
    logins integer NOT NULL CHECK (logins > 0),
    allowance integer NOT NULL,
    -- what the guard weighed then: the ledger as it was, and the operator's caps
    ledger_logins bigint NOT NULL,
    ledger_active bigint NOT NULL,
    not_confirmed_off bigint NOT NULL,
    changed_in_window bigint NOT NULL,
    accepted_active bigint,
    max_fraction double precision NOT NULL,
    max_count integer NOT NULL,
    approved_at timestamptz,
    approved_until timestamptz,
    approval_reason text,
    rejected_at timestamptz,
    rejection_reason text,
    -- begins with a few of its changes; the rest waits for Flinks' answers about these
    canary boolean NOT NULL DEFAULT false,
    CHECK ((state = 'rejected') = (rejected_at IS NOT NULL)),
    CHECK ((rejected_at IS NULL) = (rejection_reason IS NULL)),
    CHECK ((approved_at IS NULL) = (approved_until IS NULL)),
    CHECK ((state IN ('approved', 'admitted')) <= (approved_until IS NOT NULL))
);

CREATE INDEX plan_open ON plan (held_at) WHERE state <> 'closed';

-- One row for every login ever linked; it outlives its links until Flinks has confirmed that it is off.
CREATE TABLE login (
    login_id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    -- whether at least one active client is linked with scheduled true; kept by triggers, never written by hand
    active boolean NOT NULL,
    inactive_since timestamptz,
    -- grows with every change of evidence; a verdict on an older version is not stored
    evidence_version bigint NOT NULL DEFAULT 0,
    -- the last observation
    flag text NOT NULL DEFAULT 'unknown' CHECK (flag IN ('on', 'off', 'unknown')),
    flag_seen_at timestamptz,
    refreshed_at timestamptz,
    institution text,
    answered_at timestamptz,
    answer_code text,
    cached_call_at timestamptz,
    -- its entry in the newest report (landmark.reported_at); all NULL when it is not in it. An entry that comes again unchanged is
    -- not written again: listed_since is when it was first read as it stands.
    listed_since timestamptz,
    listed_attempt_at timestamptz,
    listed_state text,
    listed_code text,
    -- the schedule
    confirmed_off_at timestamptz,
    -- when a change was sent that may have left it off, and no answer has said so or otherwise: a disable, or an enable of one that is off
    -- (or when it was seen to turn off, where a disable that was never answered may have come late)
    maybe_off_since timestamptz,
    -- deferrable: the id of a plan that is held follows from the logins that it covers, so its row comes after them
    plan_id text REFERENCES plan (plan_id) DEFERRABLE,
    intent text CHECK (intent IN ('disable', 'enable')),
    intent_id bigint,
    intent_reason text,
    intent_plan_id text,
    intended_at timestamptz,
    -- of the newest intent, open or not: an approved plan (or a repetition of an old disable) took it out of the caps
    intent_outside_caps boolean NOT NULL DEFAULT false,
    intent_reasserts boolean GENERATED ALWAYS AS (intent_reason = 'reassert') STORED,
    manual_at timestamptz,
    refused_at timestamptz,
    refused_code text,
    fetched_refresh_at timestamptz,
    -- work
    routine_at timestamptz NOT NULL DEFAULT '-infinity',
    attempts smallint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    not_before timestamptz,
    -- the same of its disable or enable: neither waits because the other was put off
    change_attempts smallint NOT NULL DEFAULT 0 CHECK (change_attempts >= 0),
    change_not_before timestamptz,
    lane text CHECK (lane IN ('savable', 'rest')),
    -- the verdict; verdict_until says when it must be judged again: -infinity = at once, infinity = only on new evidence
    verdict text NOT NULL CHECK (verdict IN (
        'leaking', 'held', 'disabled', 'fresh', 'stale', 'failed', 'reconnect', 'drifted', 'quarantined', 'unseen')),
    reason text NOT NULL,
    verdict_since timestamptz NOT NULL,
    verdict_until timestamptz NOT NULL DEFAULT '-infinity',
    stale boolean NOT NULL DEFAULT false,
    error_code text,
    disposition text CHECK (disposition IN ('vendor_retries', 'needs_client', 'operator', 'unknown')),
    CHECK (active = (inactive_since IS NULL)),
    CHECK ((flag = 'unknown') = (flag_seen_at IS NULL)),
    CHECK (listed_since IS NOT NULL OR (listed_attempt_at IS NULL AND listed_state IS NULL AND listed_code IS NULL)),
    CHECK ((intent IS NULL) = (intent_id IS NULL)),
    CHECK ((intent IS NULL) = (intent_reason IS NULL)),
    CHECK ((intent IS NULL) = (intent_plan_id IS NULL)),
    CHECK ((intent IS NULL) = (intended_at IS NULL)),
    CHECK ((refused_at IS NULL) = (refused_code IS NULL)),
    CHECK (active OR lane IS NULL),
    CHECK ((verdict = 'disabled') <= (confirmed_off_at IS NOT NULL))
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- What is due. Each index holds only the rows that its question can be about, in the order of the answer.
CREATE INDEX login_to_judge ON login (verdict_until) WHERE verdict_until < 'infinity';
CREATE INDEX login_to_authorize ON login (lane, routine_at) WHERE active AND not_before IS NULL;
CREATE INDEX login_deferred ON login (lane, not_before) WHERE active AND not_before IS NOT NULL;
CREATE INDEX login_to_change ON login (intent_reasserts, (GREATEST(intended_at, change_not_before))) WHERE intent IS NOT NULL;
CREATE INDEX login_to_refresh_live ON login (refreshed_at NULLS FIRST)
    WHERE active AND verdict = 'stale' AND listed_since IS NULL AND (manual_at IS NULL OR manual_at < refreshed_at);
-- What a plan may be made of.
CREATE INDEX login_to_disable ON login (login_id)
    WHERE NOT active AND verdict IN ('leaking', 'quarantined') AND plan_id IS NULL AND intent IS NULL;
CREATE INDEX login_to_enable ON login (login_id)
    WHERE active AND verdict = 'drifted' AND reason = 'disabled_by_refreshd' AND plan_id IS NULL AND intent IS NULL;
CREATE INDEX login_to_reassert ON login (confirmed_off_at) WHERE NOT active AND verdict = 'disabled' AND intent IS NULL;
CREATE INDEX login_by_plan ON login (plan_id, login_id) WHERE plan_id IS NOT NULL;
-- What is looked up.
CREATE INDEX login_listed ON login (login_id) WHERE listed_since IS NOT NULL;
CREATE INDEX login_refused ON login (refused_at) WHERE refused_at IS NOT NULL;
CREATE INDEX login_by_verdict ON login (verdict, login_id);
CREATE INDEX login_by_institution ON login (institution) WHERE active AND institution IS NOT NULL;

-- Numbers the intents; every event of one intent carries its number.
CREATE SEQUENCE intent_number;

-- Append-only: one row for every event of every disable and enable.
CREATE TABLE schedule_change (
    event_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    login_id uuid NOT NULL,
    change text NOT NULL CHECK (change IN ('disable', 'enable')),
    event text NOT NULL CHECK (event IN (
        'held', 'admitted', 'approved', 'rejected', 'intended', 'sent', 'confirmed', 'failed', 'withdrawn', 'undone')),
    -- NULL for held, admitted, approved, rejected and undone, and for an answer that came after its intent was withdrawn
    intent_id bigint,
    at timestamptz NOT NULL,
    reason text NOT NULL,
    -- intended and confirmed only: whether an approved plan (or a repetition of an old disable) took it out of the caps
    outside_caps boolean NOT NULL DEFAULT false,
    plan_id text,
    pass_id bigint,
    term bigint,
    code text,
    detail text,
    -- failed only: what was sent can take no effect any more, for Flinks has answered it, or no byte of it left
    over boolean NOT NULL DEFAULT false CHECK (NOT over OR event = 'failed'),
    CHECK ((event IN ('intended', 'sent', 'withdrawn')) <= (intent_id IS NOT NULL))
);

CREATE INDEX schedule_change_by_login ON schedule_change (login_id, event_id);
CREATE INDEX schedule_change_by_plan ON schedule_change (plan_id, login_id) WHERE plan_id IS NOT NULL;
CREATE INDEX schedule_change_by_pass ON schedule_change (pass_id, event_id) WHERE pass_id IS NOT NULL;
CREATE INDEX schedule_change_in_caps ON schedule_change (change, at, login_id)
    WHERE event IN ('intended', 'confirmed') AND NOT outside_caps;

-- The first logins of a plan, and whether Flinks answered about each as expected; NULL while it has not answered.
CREATE TABLE canary (
    plan_id text NOT NULL REFERENCES plan (plan_id) ON DELETE CASCADE,
    login_id uuid NOT NULL,
    answer text CHECK (answer IN ('expected', 'unexpected')),
    answered_at timestamptz,
    code text,
    detail text,
    PRIMARY KEY (plan_id, login_id),
    CHECK ((answer IS NULL) = (answered_at IS NULL))
);

CREATE INDEX canary_unanswered ON canary (login_id) WHERE answer IS NULL;

-- Append-only: what people decided, who, and why.
CREATE TABLE decision (
    decision_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    decided_by text NOT NULL CHECK (decided_by <> ''),
    decision text NOT NULL CHECK (decision IN ('pause', 'resume', 'approve', 'reject', 'undo')),
    plan_id text,
    reason text NOT NULL,
    CHECK ((plan_id IS NULL) = (decision IN ('pause', 'resume')))
);

-- Plans that people asked to be undone, and what the pass that took each up has made of it. Who asked, when and why is the decision.
CREATE TABLE undoing (
    decision_id bigint PRIMARY KEY REFERENCES decision (decision_id),
    undone text NOT NULL,
    planned_at timestamptz,
    pass_id bigint,
    -- the plan of enables; NULL while it waits, and where there was nothing to enable
    plan_id text,
    CHECK ((planned_at IS NULL) = (pass_id IS NULL)),
    CHECK ((planned_at IS NULL) <= (plan_id IS NULL))
);

CREATE UNIQUE INDEX undoing_waits ON undoing (undone) WHERE planned_at IS NULL;

-- One row: whether people have stopped all vendor writes. A writer locks it FOR SHARE while it marks a change as sent, so that a pause
-- waits for those that are being marked, and none is marked after it.
CREATE TABLE pause (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    paused_at timestamptz,
    paused_by text,
    reason text,
    CHECK ((paused_at IS NULL) = (paused_by IS NULL)),
    CHECK ((paused_at IS NULL) = (reason IS NULL))
);

INSERT INTO pause DEFAULT VALUES;

-- The trace the vendor's guide asks for, one partition a day (UTC), so that retention drops tables and not rows.
CREATE TABLE call (
    call_id bigint GENERATED ALWAYS AS IDENTITY,
    called_at timestamptz NOT NULL,
    operation text NOT NULL,
    method text NOT NULL,
    url text NOT NULL,
    body jsonb,
    login_id uuid,
    http_status integer,
    flinks_code text,
    message text,
    request_id text,
    latency_seconds double precision NOT NULL,
    attempt smallint NOT NULL,
    pass_id bigint,
    term bigint NOT NULL,
    failure text
) PARTITION BY RANGE (called_at);

CREATE INDEX call_by_time ON call (called_at);
CREATE INDEX call_by_login ON call (login_id, called_at) WHERE login_id IS NOT NULL;

-- Takes what no day was made for, so that a trace is never lost.
CREATE TABLE call_default PARTITION OF call DEFAULT;

CREATE TABLE account_data (
    login_id uuid NOT NULL,
    refreshed_at timestamptz NOT NULL,
    fetched_at timestamptz NOT NULL,
    depth text NOT NULL CHECK (depth IN ('summary', 'detail')),
    body json NOT NULL,
    PRIMARY KEY (login_id, refreshed_at)
);

-- What has been kept long enough.
CREATE INDEX account_data_by_age ON account_data (fetched_at);

-- How each institution stands, by the outcomes of the latest night at its logins; one that nothing was heard of has no row. A held one
-- (down) is asked by one login at a time, its probe.
CREATE TABLE institution (
    name text PRIMARY KEY CHECK (name <> ''),
    state text NOT NULL CHECK (state IN ('up', 'down', 'suspect', 'not_enough_evidence')),
    since timestamptz NOT NULL,
    proved_at timestamptz NOT NULL,
    night timestamptz NOT NULL,
    refreshed integer NOT NULL CHECK (refreshed >= 0),
    failed integer NOT NULL CHECK (failed >= 0),
    blaming_users integer NOT NULL CHECK (blaming_users BETWEEN 0 AND failed),
    probe_login_id uuid,
    probe_at timestamptz,
    CHECK ((probe_login_id IS NULL) = (probe_at IS NULL))
);

-- Logins of the newest report (landmark.reported_at) that no client was ever linked to.
CREATE TABLE orphan (
    login_id uuid PRIMARY KEY,
    first_reported_at timestamptz NOT NULL,
    attempted_at timestamptz,
    state text,
    code text
);

-- One row: when the newest good report was read, and the totals last accepted as plausible.
CREATE TABLE landmark (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    reported_at timestamptz,
    accepted_at timestamptz,
    accepted_logins bigint,
    accepted_active bigint,
    source_read_at timestamptz,
    -- client lists merged so far, so that one that was read meanwhile is known to be older
    lists_merged bigint NOT NULL DEFAULT 0,
    CHECK ((accepted_at IS NULL) = (accepted_active IS NULL)),
    CHECK ((accepted_at IS NULL) = (accepted_logins IS NULL))
);

INSERT INTO landmark DEFAULT VALUES;

-- Without statistics Postgres takes a small new table for one of thousands of rows, and plans every join with it accordingly.
ANALYZE lease;
ANALYZE landmark;
ANALYZE institution;

-- All that refreshd knows of a login when it judges, calls or tells of it: its row, with its bank, the newest report and its plan beside it.
-- `attempts` and `not_before` are those of what is due next, for the judge: of its disable or enable, or else of its routine.
CREATE VIEW login_evidence AS
SELECT
    login.login_id, login.active, login.inactive_since, login.created_at, login.evidence_version,
    login.flag, login.flag_seen_at, login.refreshed_at, login.institution, login.answered_at, login.answer_code, login.cached_call_at,
    institution.state AS bank_state, institution.since AS bank_since, institution.proved_at, institution.night,
    institution.refreshed, institution.failed, institution.blaming_users, institution.probe_login_id,
    CASE WHEN login.listed_since IS NOT NULL THEN landmark.reported_at END AS reported_at,
    login.listed_since, login.listed_attempt_at, login.listed_state, login.listed_code,
    login.confirmed_off_at, login.maybe_off_since, login.plan_id, plan.approved_until, plan.state AS plan_state,
    login.refused_at, login.refused_code,
    CASE WHEN login.active AND login.intent IS NULL THEN login.attempts ELSE login.change_attempts END AS attempts,
    CASE WHEN login.active AND login.intent IS NULL THEN login.not_before ELSE login.change_not_before END AS not_before,
    login.attempts AS routine_attempts, login.not_before AS routine_not_before, login.change_not_before,
    login.intent, login.intent_id, login.intent_reason, login.intent_plan_id, login.intended_at, login.intent_reasserts,
    login.manual_at, login.fetched_refresh_at, NULLIF(login.routine_at, '-infinity') AS routine_done_at,
    login.verdict, login.reason, login.verdict_since, login.verdict_until, login.stale, login.lane, login.error_code, login.disposition,
    CASE WHEN login.verdict_until < 'infinity' THEN GREATEST(login.verdict_until, login.verdict_since) END AS verdict_ends_at
FROM login
CROSS JOIN landmark
LEFT JOIN institution ON institution.name = login.institution
LEFT JOIN plan ON plan.plan_id = login.plan_id;

-- What it would do about a login now to undo its disable. One that waits in a plan of enables that is held or rejected is taken over.
CREATE VIEW undoing_outcome AS
SELECT
    login.login_id,
    CASE
        WHEN NOT login.active THEN 'inactive'
        WHEN login.confirmed_off_at IS NULL THEN 'on_again'
        WHEN login.refused_at IS NOT NULL THEN 'refused'
        WHEN login.intent IS NULL AND COALESCE(plan.state, 'held') IN ('held', 'rejected') THEN 'enabled'
        ELSE 'under_way'
    END AS outcome
FROM login
LEFT JOIN plan ON plan.plan_id = login.plan_id;

-- What the application may read: one row a login. Where must_reconnect is true its user has to go through Flinks Connect again.
CREATE VIEW login_status AS
SELECT
    login.login_id,
    login.verdict,
    login.reason,
    login.verdict_since,
    login.active,
    login.verdict = 'reconnect' AS must_reconnect,
    login.institution,
    login.error_code,
    login.refreshed_at,
    GREATEST(
        login.answered_at, login.flag_seen_at, CASE WHEN login.listed_since IS NOT NULL THEN landmark.reported_at END
    ) AS seen_at
FROM login
CROSS JOIN landmark;

-- What dashboards may read. A LoginId is shown by its first eight digits, enough to find it and too few to call Flinks with, unless the
-- reader may read the table `login` itself. No client, no body, no message of the vendor's.
CREATE VIEW masked_login AS
SELECT
    CASE
        WHEN has_table_privilege('login'::regclass, 'SELECT') THEN login.login_id::text
        ELSE left(login.login_id::text, 8) || '…'
    END AS login,
    login.verdict,
    login.reason,
    login.verdict_since,
    login.active,
    login.inactive_since,
    login.institution,
    login.error_code,
    login.disposition,
    login.refreshed_at,
    login.cached_call_at,
    login.refreshed_at + interval '7 days' AS refresh_lapses_at,
    login.cached_call_at + interval '7 days' AS call_lapses_at,
    login.confirmed_off_at,
    login.plan_id,
    login_status.seen_at
FROM login
JOIN login_status USING (login_id);

CREATE VIEW masked_change AS
SELECT
    schedule_change.event_id,
    schedule_change.at,
    CASE
        WHEN has_table_privilege('login'::regclass, 'SELECT') THEN schedule_change.login_id::text
        ELSE left(schedule_change.login_id::text, 8) || '…'
    END AS login,
    schedule_change.change,
    schedule_change.event,
    schedule_change.reason,
    schedule_change.plan_id,
    schedule_change.code
FROM schedule_change;

CREATE VIEW masked_call AS
SELECT
    call.called_at,
    CASE
        WHEN has_table_privilege('login'::regclass, 'SELECT') THEN call.login_id::text
        ELSE left(call.login_id::text, 8) || '…'
    END AS login,
    call.operation,
    call.http_status,
    call.flinks_code,
    call.latency_seconds,
    call.attempt,
    call.failure
FROM call;

-- Whether a login is active --------------------------------------------------------------------------------------------------------
--
-- These functions never read a table from end to end where an index leads to the rows: a session keeps its plans, and one that was made
-- while the tables were small would make the last rows of a long load a thousand times slower than the first.

-- The channel on which this schema says that something changed. Two schemas never share one.
CREATE FUNCTION activity_channel() RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN octet_length(current_schema()) < 55 THEN 'refreshd:' || current_schema()
        ELSE 'refreshd:' || md5(current_schema())
    END
$$;

-- The writer's clock: dates may run scaled in a demo, whose writers say so with this setting.
CREATE FUNCTION writer_now() RETURNS timestamptz
LANGUAGE sql VOLATILE AS $$
    SELECT COALESCE(NULLIF(current_setting('refreshd.now', true), '')::timestamptz, clock_timestamp())
$$;

-- Brings the given logins into agreement with client and client_login, creates those that are new, and notifies when one changed.
-- Rows are locked in the order of login_id, as everywhere. Each is written even when it stays as it is: a concurrent transaction
-- that works on an older snapshot (REPEATABLE READ) must fail on it rather than decide on what it cannot see.
CREATE FUNCTION settle_logins(touched uuid[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET enable_seqscan = off AS $$
DECLARE
    moment CONSTANT timestamptz := writer_now();
    created uuid[];
    flipped uuid[];
BEGIN
    WITH wanted AS (
        SELECT DISTINCT client_login.login_id
        FROM client_login
        JOIN client USING (client_id)
        WHERE client_login.login_id = ANY (touched) AND client_login.scheduled AND client.active
    ), unknown AS (
        SELECT each.login_id, wanted.login_id IS NOT NULL AS active
        FROM unnest(touched) AS each (login_id)
        LEFT JOIN wanted ON wanted.login_id = each.login_id
        WHERE NOT EXISTS (SELECT FROM login WHERE login.login_id = each.login_id)
    ), inserted AS (
        INSERT INTO login (login_id, created_at, active, inactive_since, verdict, reason, verdict_since)
        SELECT
            unknown.login_id,
            moment,
            unknown.active,
            CASE WHEN NOT unknown.active THEN moment END,
            CASE WHEN unknown.active THEN 'unseen' ELSE 'leaking' END,
            'new',
            moment
        FROM unknown
        ORDER BY unknown.login_id
        ON CONFLICT (login_id) DO NOTHING
        RETURNING login_id
    )
    SELECT COALESCE(array_agg(inserted.login_id), '{}') INTO created FROM inserted;

    IF cardinality(created) < cardinality(touched) THEN
        PERFORM FROM login WHERE login_id = ANY (touched) ORDER BY login_id FOR NO KEY UPDATE;

        -- A new statement, hence a new snapshot: it sees what those committed who held the locks before us.
        WITH wanted AS (
            SELECT DISTINCT client_login.login_id
            FROM client_login
            JOIN client USING (client_id)
            WHERE client_login.login_id = ANY (touched) AND client_login.scheduled AND client.active
        ), changed AS (
            SELECT login.login_id, wanted.login_id IS NOT NULL AS active
            FROM login
            LEFT JOIN wanted ON wanted.login_id = login.login_id
            WHERE login.login_id = ANY (touched) AND login.active <> (wanted.login_id IS NOT NULL)
        ), updated AS (
            UPDATE login
            SET active = changed.active,
                inactive_since = CASE WHEN NOT changed.active THEN moment END,
                evidence_version = login.evidence_version + 1,
                plan_id = NULL,
                attempts = 0,
                not_before = NULL,
                change_attempts = 0,
                change_not_before = NULL,
                lane = CASE WHEN changed.active THEN login.lane END,
                verdict_until = '-infinity'
            FROM changed
            WHERE login.login_id = changed.login_id
            RETURNING login.login_id
        )
        SELECT COALESCE(array_agg(updated.login_id), '{}') INTO flipped FROM updated;

        UPDATE login
        SET active = login.active
        FROM (
            SELECT each.login_id FROM unnest(touched) AS each (login_id)
            EXCEPT ALL
            (SELECT each.login_id FROM unnest(created) AS each (login_id)
            UNION ALL SELECT each.login_id FROM unnest(flipped) AS each (login_id))
        ) AS unmoved
        WHERE login.login_id = unmoved.login_id;
    END IF;

    IF cardinality(created) + COALESCE(cardinality(flipped), 0) > 0 THEN
        PERFORM pg_notify(activity_channel(), 'activity');
    END IF;
    RETURN cardinality(created) + COALESCE(cardinality(flipped), 0);
END
$$;

-- Links were added, changed or removed. The clients of added links are locked first: whoever sets one of them inactive meanwhile does
-- not see the new link, and we do not see the new state.
CREATE FUNCTION client_login_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET enable_seqscan = off AS $$
DECLARE
    touched uuid[];
    linked text[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(DISTINCT login_id), array_agg(DISTINCT client_id) INTO touched, linked FROM after;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(DISTINCT login_id) INTO touched FROM before;
    ELSIF TG_OP = 'UPDATE' THEN
        WITH changed AS (
            (SELECT client_id, login_id, scheduled FROM before EXCEPT SELECT client_id, login_id, scheduled FROM after)
            UNION ALL
            (SELECT client_id, login_id, scheduled FROM after EXCEPT SELECT client_id, login_id, scheduled FROM before)
        )
        SELECT array_agg(DISTINCT login_id), array_agg(DISTINCT client_id) INTO touched, linked FROM changed;
    ELSE
        SELECT array_agg(login_id) INTO touched FROM login WHERE active;
    END IF;
    IF touched IS NOT NULL THEN
        PERFORM FROM client WHERE client_id = ANY (linked) ORDER BY client_id FOR NO KEY UPDATE;
        PERFORM settle_logins(touched);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER client_login_inserted AFTER INSERT ON client_login
REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION client_login_written();

CREATE TRIGGER client_login_updated AFTER UPDATE ON client_login
REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION client_login_written();

CREATE TRIGGER client_login_deleted AFTER DELETE ON client_login
REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION client_login_written();

-- A TRUNCATE of client comes by here too: it has to name client_login, or cascade to it.
CREATE TRIGGER client_login_truncated AFTER TRUNCATE ON client_login
FOR EACH STATEMENT EXECUTE FUNCTION client_login_written();

-- Clients were set active or inactive. (A new client has no links yet; a deleted or renamed one takes its links along by foreign key.)
CREATE FUNCTION client_updated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET enable_seqscan = off AS $$
DECLARE
    changed text[];
    touched uuid[];
BEGIN
    SELECT array_agg(each.client_id) INTO changed
    FROM (
        (SELECT client_id, active FROM before EXCEPT SELECT client_id, active FROM after)
        UNION ALL
        (SELECT client_id, active FROM after EXCEPT SELECT client_id, active FROM before)
    ) AS each;
    SELECT array_agg(DISTINCT login_id) INTO touched FROM client_login WHERE client_id = ANY (changed);
    IF touched IS NOT NULL THEN
        PERFORM settle_logins(touched);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER client_updated AFTER UPDATE ON client
REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION client_updated();

-- What the database refuses ----------------------------------------------------------------------------------------------------------

-- A login is forgotten only when Flinks has said that it is off, nobody is linked to it, and nothing says otherwise since.
CREATE FUNCTION refuse_to_forget() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT OLD.active AND OLD.confirmed_off_at IS NOT NULL AND OLD.flag = 'off' AND OLD.listed_since IS NULL AND OLD.intent IS NULL
            AND NOT EXISTS (SELECT FROM client_login WHERE client_login.login_id = OLD.login_id)
        THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'login % is not confirmed off and unlinked, so it may still be billed', OLD.login_id
            USING ERRCODE = 'restrict_violation', TABLE = 'login', CONSTRAINT = 'login_never_forgotten',
                HINT = 'unlink it in client_login or set its clients inactive; once refreshd has had it disabled, it may be deleted';
    END IF;
    RAISE EXCEPTION '% of login refused: billed logins would be forgotten', TG_OP
        USING ERRCODE = 'restrict_violation', TABLE = 'login', CONSTRAINT = 'login_never_forgotten',
            HINT = 'delete single rows, once they are confirmed off';
END
$$;

CREATE TRIGGER login_deleted BEFORE DELETE ON login FOR EACH ROW EXECUTE FUNCTION refuse_to_forget();
CREATE TRIGGER login_renamed BEFORE UPDATE OF login_id ON login FOR EACH ROW
WHEN (OLD.login_id <> NEW.login_id) EXECUTE FUNCTION refuse_to_forget();
CREATE TRIGGER login_truncated BEFORE TRUNCATE ON login FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_forget();

CREATE FUNCTION refuse_to_rewrite() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % refused: its rows are only ever added', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_TABLE_NAME || '_append_only';
END
$$;

CREATE TRIGGER schedule_change_rewritten BEFORE UPDATE OR DELETE OR TRUNCATE ON schedule_change
FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite();
CREATE TRIGGER decision_rewritten BEFORE UPDATE OR DELETE OR TRUNCATE ON decision
FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite();

-- The days of the trace -------------------------------------------------------------------------------------------------------------

-- Makes the next missing day of those from the day before `moment` to `ahead` days after it, moves there what the default has taken for
-- it, and returns its name; NULL when none is missing. A lock that is not free is not waited for: whoever writes calls would stand in line
-- behind us.
CREATE FUNCTION add_call_day(moment timestamptz, ahead integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    day CONSTANT date := (
        SELECT min(each.day)
        FROM (
            SELECT (moment AT TIME ZONE 'UTC')::date + step AS day FROM generate_series(-1, ahead) AS step
        ) AS each
        WHERE to_regclass('call_' || to_char(each.day, 'YYYYMMDD')) IS NULL
    );
    name CONSTANT text := 'call_' || to_char(day, 'YYYYMMDD');
    starts CONSTANT timestamptz := day::timestamp AT TIME ZONE 'UTC';
    ends CONSTANT timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF day IS NULL THEN
        RETURN NULL;
    END IF;
    LOCK TABLE ONLY call IN SHARE UPDATE EXCLUSIVE MODE NOWAIT;
    LOCK TABLE call_default IN ACCESS EXCLUSIVE MODE NOWAIT;
    EXECUTE format('CREATE TABLE %I (LIKE call INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format(
        'WITH moved AS (DELETE FROM call_default WHERE called_at >= %L AND called_at < %L RETURNING call_default.*)'
        ' INSERT INTO %I SELECT moved.* FROM moved', starts, ends, name);
    EXECUTE format('ALTER TABLE call ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, starts, ends);
    RETURN name;
END
$$;

-- Drops the oldest day that was over before `moment`, and returns its name; NULL when there is none. Locks as above.
CREATE FUNCTION drop_call_day(moment timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    name CONSTANT text := (
        SELECT min(pg_class.relname::text)
        FROM pg_inherits
        JOIN pg_class ON pg_class.oid = pg_inherits.inhrelid
        WHERE pg_inherits.inhparent = 'call'::regclass
            AND pg_class.relname ~ '^call_[0-9]{8}$'
            AND to_date(right(pg_class.relname, 8), 'YYYYMMDD') < (moment AT TIME ZONE 'UTC')::date
    );
BEGIN
    IF name IS NOT NULL THEN
        LOCK TABLE call IN ACCESS EXCLUSIVE MODE NOWAIT;
        EXECUTE format('DROP TABLE %I', name);
    END IF;
    RETURN name;
END
$$;

-- These run with their owner's rights and are for refreshd's own role only.
REVOKE ALL ON FUNCTION settle_logins(uuid[]), add_call_day(timestamptz, integer), drop_call_day(timestamptz) FROM PUBLIC;
