-- Operators: people with an account whose app_metadata says "role": "admin", which nobody can give themselves. The console
-- reads as the role sigma_operator, for which row level security has the last word, and writes as the service, once the
-- database has put on record who does what to whom; it records nobody who is no operator at that moment.

do $$
declare
  login text := case when exists (select from pg_catalog.pg_roles where rolname = 'supabase_admin')
                     then 'sigma_login' else 'authenticator' end;
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'sigma_operator') then
    begin
      create role sigma_operator nologin noinherit;
    exception
      when duplicate_object or unique_violation then
        null;  -- roles belong to the cluster: another of its databases is being migrated at this moment
      when insufficient_privilege then
        raise exception 'the role sigma_operator is missing, and % may not create it', current_user
          using errcode = 'insufficient_privilege',
                hint = format('Have an administrator run: create role sigma_operator nologin noinherit; grant sigma_operator to %I.', login);
    end;
  end if;
  if not exists (
    select from pg_catalog.pg_auth_members where roleid = 'sigma_operator'::regrole and member = login::regrole
  ) then
    execute format('grant sigma_operator to %I', login);
  end if;
end
$$;

-- Asked of the account itself and not of a token, so that who loses the role loses it at once.
create function sigma.is_admin() returns boolean
language sql stable security definer set search_path = '' as $$
  select exists (
    select from auth.users
    where id = (select auth.uid()) and raw_app_meta_data ->> 'role' = 'admin'
      and (banned_until is null or banned_until <= now())
  )
$$;

-- The account with this address, where somebody has proved that it is theirs.
create function sigma.confirmed_account(address text) returns uuid
language sql stable security definer set search_path = '' as $$
  select id from auth.users where lower(email) = lower(address) and email_confirmed_at is not null
$$;

create function sigma.operators() returns setof text
language sql stable security definer set search_path = '' as $$
  select email from auth.users where raw_app_meta_data ->> 'role' = 'admin' order by email
$$;

-- Where accounts are in a Supabase project and the database is another one, this one knows them by name, and learns here
-- who operates.
create function sigma.note_operator(account uuid, operates boolean) returns void
language plpgsql security definer set search_path = '' as $$
begin
  update auth.users
    set raw_app_meta_data = case when operates then raw_app_meta_data || '{"role": "admin"}' else raw_app_meta_data - 'role' end
    where id = account and raw_app_meta_data ->> 'lives_elsewhere' = 'true';
end;
$$;


-- Who did what to whom. Rows are only ever added, also by the owner. They hold ids, which outlive whom they name, and no
-- address but the operator's own.
create table sigma.audit_log (
  id bigint primary key generated always as identity,
  at timestamptz not null default clock_timestamp(),
  operator uuid,                          -- null: the command line
  operator_name text not null,            -- their address, or "the command line"
  action text not null,                   -- such as "lead.erase"
  subject text,                           -- the id of what was acted on
  detail jsonb not null default '{}',
  request text                            -- the id of the request, as its log lines have it
);
create index audit_log_subject on sigma.audit_log (subject, id desc);

create function sigma.refuse_change() returns trigger language plpgsql set search_path = '' as $$
begin
  raise exception 'the audit log is only ever added to' using errcode = 'insufficient_privilege';
end;
$$;
create index audit_log_leads on sigma.audit_log using gin ((detail -> 'leads')) where detail ? 'leads';
create trigger only_added_to before update or delete or truncate on sigma.audit_log
  for each statement execute function sigma.refuse_change();

-- Puts a deed on record, in the transaction of the deed. Whoever acts by the console has to be an operator.
create function sigma.audit(action text, subject text, detail jsonb default '{}') returns bigint
language plpgsql security definer set search_path = '' as $$
declare
  who uuid := auth.uid();
  name text := 'the command line';
  entry bigint;
begin
  if who is not null then
    if not sigma.is_admin() then
      raise exception 'this account is no operator''s' using errcode = 'insufficient_privilege';
    end if;
    select email into name from auth.users where id = who;
  end if;
  insert into sigma.audit_log (operator, operator_name, action, subject, detail, request)
    values (who, coalesce(name, who::text), audit.action, audit.subject, audit.detail,
            nullif(current_setting('sigma.request', true), ''))
    returning id into entry;
  return entry;
end;
$$;


-- What is done to many leads at once, by a job, step by step: either to those in `ids`, or to all that `filter` finds and
-- that joined before it was asked for. `at` and `after` are where the last step ended.
create table sigma.bulk_runs (
  id uuid primary key default gen_random_uuid(),
  operator uuid references auth.users on delete set null, -- null: has left, and the work stops
  action text not null check (action in ('invite', 'flag', 'unflag', 'erase')),
  reason text,                            -- of a flag
  filter jsonb not null default '{}',
  ids uuid[],
  total bigint not null,
  about boolean not null default false,   -- whether `total` is an estimate
  done bigint not null default 0,
  passed_over bigint not null default 0,  -- those whom it could not be done to, such as one without consent
  state text not null default 'waiting'
    check (state in ('waiting', 'running', 'stopped', 'done', 'undoing', 'undone')),
  last_at timestamptz,
  last_id uuid,
  created_at timestamptz not null default now(),
  starts_at timestamptz not null,         -- until then it can be taken back without a trace
  ended_at timestamptz
);
create index bulk_runs_newest on sigma.bulk_runs (created_at desc);

-- What a run changed and could be put back: the flag of before.
create table sigma.bulk_changes (
  run_id uuid not null references sigma.bulk_runs on delete cascade,
  lead_id uuid not null references public.leads on delete cascade,
  flag text,
  primary key (run_id, lead_id)
);
create index bulk_changes_lead on sigma.bulk_changes (lead_id);

-- A file of leads, read and judged but not yet imported; its rows go once it is, or after a day.
create table sigma.imports (
  id uuid primary key default gen_random_uuid(),
  operator uuid references auth.users on delete set null, -- null: has left, and the work stops
  name text not null,
  state text not null default 'judged' check (state in ('judged', 'running', 'done', 'failed')),
  ask boolean not null default false,     -- whether each new lead is mailed the question to confirm
  fresh bigint not null,                  -- how many rows would be, or were, new on the list
  known bigint not null,
  refused bigint not null,
  done bigint not null default 0,
  created_at timestamptz not null default now(),
  ended_at timestamptz
);
create table sigma.import_rows (
  import_id uuid not null references sigma.imports on delete cascade,
  line integer not null,                  -- in the file, from 1 for the heading
  address text not null,                  -- as the file has it
  lead jsonb,                             -- null: refused
  problem text,
  primary key (import_id, line)
);

grant select, insert, update, delete on
  sigma.bulk_runs, sigma.bulk_changes, sigma.imports, sigma.import_rows
to service_role;
grant select on sigma.audit_log to service_role;


-- Accounts, as the console shows them: nothing that opens one. A view of the owner, since auth.users may be Supabase's own
-- table, on which nobody else makes policies.
create view sigma.accounts with (security_barrier) as
  select id, email::text, created_at, email_confirmed_at, last_sign_in_at, banned_until,
    raw_app_meta_data ->> 'role' as role
  from auth.users
  where (select sigma.is_admin());

-- Leads, for who looks for the beginning of an address: under row level security lower() is no way into an index, since it
-- is not leakproof, and a search reads the whole table (419 ms of 1,000,000 leads; this 0.1 ms). The one condition is
-- about who asks and not about a row, so it is judged before any row is read, and needs no barrier.
create view sigma.leads_by_address as
  select *, lower(email) as address from public.leads where (select sigma.is_admin());

-- What an operator sees. By column where a row holds what opens something.
grant usage on schema public, sigma, billing, procrastinate to sigma_operator;
grant select on public.leads, public.profiles, sigma.accounts, sigma.leads_by_address, sigma.consents, sigma.suppressions, sigma.webhook_events,
  sigma.audit_log, sigma.bulk_runs, sigma.imports, sigma.import_rows, sigma.job_errors,
  billing.products, billing.prices, billing.customers, billing.checkouts, billing.purchases, billing.subscriptions,
  billing.access_changes, procrastinate.procrastinate_jobs, procrastinate.procrastinate_events
to sigma_operator;
grant select (id, lead_id, purpose, created_at, written_at, expires_at, used_at) on sigma.lead_links to sigma_operator;
grant select (id, user_id, user_agent, created_at, seen_at) on sigma.sessions to sigma_operator;
grant select on sigma.line_blocks to sigma_operator;  -- numbers, and nobody's
grant execute on function sigma.is_admin(), sigma.waiting(), sigma.place(uuid), public.founder_count() to sigma_operator;
grant execute on function sigma.is_admin() to service_role;

do $$
declare
  seen regclass;
begin
  foreach seen in array array[
    'public.leads', 'public.profiles', 'sigma.consents', 'sigma.suppressions', 'sigma.webhook_events', 'sigma.audit_log',
    'sigma.bulk_runs', 'sigma.imports', 'sigma.import_rows', 'sigma.job_errors', 'sigma.lead_links', 'sigma.sessions',
    'billing.products', 'billing.prices', 'billing.customers', 'billing.checkouts', 'billing.purchases',
    'billing.subscriptions', 'billing.access_changes', 'procrastinate.procrastinate_jobs',
    'procrastinate.procrastinate_events'
  ]::regclass[] loop
    execute format('alter table %s enable row level security', seen);
    execute format(
      'create policy operators_read on %s for select to sigma_operator using ((select sigma.is_admin()))', seen
    );
  end loop;
end
$$;


-- The console's pages hear of what changed, in whichever process they are; the payload is the topic. Those of one
-- transaction and one topic are one message.
create function sigma.tell_console() returns trigger language plpgsql set search_path = '' as $$
begin
  perform pg_notify('sigma_console', tg_argv[0]);
  return null;
end;
$$;
create trigger tell_console after insert or update or delete on public.leads
  for each statement execute function sigma.tell_console('leads');
create trigger tell_console after insert or update or delete on public.profiles
  for each statement execute function sigma.tell_console('users');
create trigger tell_console after insert or update or delete on sigma.webhook_events
  for each statement execute function sigma.tell_console('events');
create trigger tell_console after insert or update of status or delete on procrastinate.procrastinate_jobs
  for each statement execute function sigma.tell_console('jobs');
create trigger tell_console after insert on sigma.audit_log
  for each statement execute function sigma.tell_console('audit');
create trigger tell_console after insert or update on sigma.bulk_runs
  for each statement execute function sigma.tell_console('runs');
create trigger tell_console after insert or update on sigma.imports
  for each statement execute function sigma.tell_console('imports');

do $$
declare
  name regprocedure;
begin
  for name in
    select oid from pg_catalog.pg_proc
    where pronamespace = 'sigma'::regnamespace and proname in (
      'is_admin', 'confirmed_account', 'operators', 'note_operator', 'refuse_change', 'audit', 'tell_console'
    )
  loop
    execute format('revoke execute on function %s from public', name);
  end loop;
end
$$;
grant execute on function sigma.audit(text, text, jsonb), sigma.confirmed_account(text), sigma.operators(),
  sigma.note_operator(uuid, boolean)
to service_role;
