-- Sessions that a pooler lends for one transaction.

-- name: settle_in(names, values)!
-- What a session of our own starts with, for this transaction only: whoever borrows the session next finds it as it was.
SELECT set_config(each.name, each.value, true)
FROM unnest(:names::text[], :values::text[]) AS each (name, value);

-- name: limit_statements(milliseconds)$
-- No statement of this transaction takes longer, whoever waits for it.
SELECT set_config('statement_timeout', :milliseconds, true);

-- name: notice_our_end()$
-- The server looks once a second whether we are there still, and ends a statement that nobody waits for. Since Postgres 14.
SELECT set_config('client_connection_check_interval', '1s', true);
