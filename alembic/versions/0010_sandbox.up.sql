-- What the sandbox that stands in for Stripe keeps. Tables of the service alone; empty where payments are hosted.

create table sigma.sandbox_objects (
  id text primary key,
  kind text not null,                      -- what Stripe calls "object"
  number bigint generated always as identity,  -- lists are in this order, newest first
  body jsonb not null
);
create index sandbox_objects_kind on sigma.sandbox_objects (kind, number desc);
create index sandbox_objects_body on sigma.sandbox_objects using gin (body jsonb_path_ops);

-- Answers to requests with an idempotency key, for a day.
create table sigma.sandbox_requests (
  key text primary key,
  fingerprint bytea not null,              -- SHA-256 of method, path and parameters
  status integer not null,
  body jsonb not null,
  created_at timestamptz not null default now()
);

-- The signing secret, and what the sandbox is told to do wrong.
create table sigma.sandbox_settings (
  name text primary key,
  value jsonb not null
);

grant select, insert, update, delete on sigma.sandbox_objects, sigma.sandbox_requests, sigma.sandbox_settings to service_role;

-- A delivery of an event, in the caller's transaction, in a queue that is worked where the sandbox is.
create function sigma.queue_delivery(args jsonb, at timestamptz) returns bigint
language sql volatile set search_path = procrastinate, pg_temp as $$
  select (procrastinate_defer_jobs_v1(
    array[row('sandbox', 'stripe:deliver', 0, null, null, args, at)::procrastinate_job_to_defer_v1]
  ))[1]
$$;
revoke execute on function sigma.queue_delivery from public;
grant execute on function sigma.queue_delivery to service_role;
