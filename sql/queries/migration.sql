-- The bookkeeping of migrations: what has been applied to this schema, and the lock under which more is applied.

-- name: schema_exists(schema)$
-- Asked first, because CREATE SCHEMA IF NOT EXISTS wants the right to create even where there is nothing to create.
SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = :schema);

-- name: create_schema_statement(schema)$
-- The statement itself, so that Postgres does the quoting; an identifier cannot be a parameter.
SELECT format('CREATE SCHEMA %I', :schema::text);

-- name: use_schema(schema)$
-- From here on the session finds its tables in this schema.
SELECT set_config('search_path', quote_ident(:schema), false);

-- name: access(schema)^
-- What the session's search path is, who it is, and whether the schema is there and closed to it.
SELECT
    current_setting('search_path') AS search_path,
    current_user AS role,
    EXISTS (
        SELECT FROM pg_catalog.pg_namespace
        WHERE nspname = :schema AND NOT has_schema_privilege(oid, 'USAGE')
    ) AS closed;

-- name: lock(schema)$
-- Waits until no other session migrates this schema; the session holds it until it unlocks or ends.
SELECT pg_advisory_lock(hashtextextended('refreshd migrate ' || :schema, 0));

-- name: unlock(schema)$
-- Lets the next one in.
SELECT pg_advisory_unlock(hashtextextended('refreshd migrate ' || :schema, 0));

-- name: table_exists()$
-- False on a schema, or without a schema, that was never migrated.
SELECT to_regclass('schema_migration') IS NOT NULL;

-- name: create_table()!
-- additive: whether a refreshd that does not know the migration may run on its result.
CREATE TABLE IF NOT EXISTS schema_migration (
    number integer PRIMARY KEY CHECK (number > 0),
    name text NOT NULL,
    checksum text NOT NULL,
    additive boolean NOT NULL,
    applied_at timestamptz NOT NULL
);

-- name: applied()
-- All that was ever applied, in order.
SELECT number, name, checksum, additive, applied_at
FROM schema_migration
ORDER BY number;

-- name: record(number, name, checksum, additive, applied_at)!
-- In the transaction of the migration that it records.
INSERT INTO schema_migration (number, name, checksum, additive, applied_at)
VALUES (:number, :name, :checksum, :additive, :applied_at);
