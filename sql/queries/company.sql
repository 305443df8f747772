-- What the application of the demo's company does to its own two tables: plain SQL, as any application would.

-- name: set_clock(moment)$
-- The demo's dates run scaled; a writer whose clock is not the server's says so.
SELECT set_config('refreshd.now', (:moment::timestamptz)::text, false);

-- name: add_clients(client_ids, active)!
-- New customers.
INSERT INTO client (client_id, active)
SELECT each.client_id, each.active
FROM unnest(:client_ids::text[], :active::boolean[]) AS each (client_id, active);

-- name: link_logins(client_ids, login_ids)!
-- Their bank logins.
INSERT INTO client_login (client_id, login_id)
SELECT each.client_id, each.login_id
FROM unnest(:client_ids::text[], :login_ids::uuid[]) AS each (client_id, login_id);

-- name: set_active(client_ids, active)!
-- Customers leave, or come back.
UPDATE client SET active = :active WHERE client_id = ANY (:client_ids::text[]);
