do $$
declare
  rule record;
begin
  for rule in
    select polname, polrelid::regclass as seen, relnamespace::regnamespace::text as home
    from pg_catalog.pg_policy join pg_catalog.pg_class on pg_class.oid = polrelid
    where polname = 'operators_read'
  loop
    execute format('drop policy %I on %s', rule.polname, rule.seen);
    if rule.home in ('sigma', 'procrastinate') then
      execute format('alter table %s disable row level security', rule.seen);
    end if;
  end loop;
end
$$;
drop trigger tell_console on public.leads;
drop trigger tell_console on public.profiles;
drop trigger tell_console on sigma.webhook_events;
drop trigger tell_console on procrastinate.procrastinate_jobs;
drop view sigma.leads_by_address, sigma.accounts;
drop table sigma.import_rows, sigma.imports, sigma.bulk_changes, sigma.bulk_runs, sigma.audit_log;
drop function sigma.tell_console(), sigma.audit(text, text, jsonb), sigma.refuse_change(), sigma.note_operator(uuid, boolean),
  sigma.operators(), sigma.confirmed_account(text), sigma.is_admin();
revoke all on public.leads, public.profiles, sigma.consents, sigma.suppressions, sigma.webhook_events, sigma.job_errors,
  sigma.lead_links, sigma.sessions, billing.products, billing.prices, billing.customers, billing.checkouts,
  billing.purchases, billing.subscriptions, billing.access_changes, procrastinate.procrastinate_jobs,
  procrastinate.procrastinate_events
from sigma_operator;
revoke all on sigma.line_blocks from sigma_operator;
revoke all on function sigma.waiting(), sigma.place(uuid), public.founder_count() from sigma_operator;
revoke all (id, lead_id, purpose, created_at, written_at, expires_at, used_at) on sigma.lead_links from sigma_operator;
revoke all (id, user_id, user_agent, created_at, seen_at) on sigma.sessions from sigma_operator;
revoke usage on schema public, sigma, billing, procrastinate from sigma_operator;
