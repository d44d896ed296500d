create or replace function sigma.operators() returns setof text
language sql stable security definer set search_path = '' as $$
  select email from auth.users where raw_app_meta_data ->> 'role' = 'admin' order by email
$$;
drop index sigma.webhook_events_to, sigma.webhook_events_naming;
drop function sigma.digests_of(jsonb);
