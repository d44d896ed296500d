-- The record of access says more: which subscription or purchase took the place of another at the same price, that a
-- profile went with its access, and with what somebody came who changed it by hand. Events have a queue of their own.

-- The one way in which billing gives and takes access. Writes what changed to the profile, and a line where access, its
-- reason or what is paid for it changed; whether access itself did. Without a profile, which its owner may have deleted,
-- nobody has access.
create or replace function sigma.set_access(
  account uuid, granted boolean, customer text, price text, rule text, subject text, cause text, event text
) returns boolean language plpgsql set search_path = '' as $$
declare
  known public.profiles;
  last_rule text;
  last_price text;
  last_subject text;
  held text := case when granted then price end;  -- a profile names what is paid for, not what was
begin
  select * into known from public.profiles where id = account for update;
  if not found then
    return false;
  end if;
  select change.rule, change.price_id, change.subject into last_rule, last_price, last_subject
    from billing.access_changes as change
    where change.user_id = account order by change.id desc limit 1;
  if granted is distinct from coalesce(known.has_access, false)
    or set_access.rule is distinct from coalesce(last_rule, 'nothing')
    or (granted and (price, set_access.subject) is distinct from (last_price, last_subject)) then
    insert into billing.access_changes (user_id, before, after, rule, price_id, subject, cause, event_id)
      values (account, coalesce(known.has_access, false), granted, set_access.rule, price, subject, cause, event);
  end if;
  if (known.has_access, known.customer_id, known.price_id) is distinct from (granted, customer, held) then
    perform set_config('sigma.access_explained', account::text, true);
    update public.profiles set has_access = granted, customer_id = customer, price_id = held where id = account;
    perform set_config('sigma.access_explained', '', true);
  end if;
  return granted is distinct from coalesce(known.has_access, false);
end;
$$;

-- With what somebody came who writes right now: login, role and program.
create function sigma.who_writes() returns text
language sql stable set search_path = '' as $$
  select concat_ws(
    ', ', session_user, nullif(current_setting('role', true), 'none'), nullif(current_setting('application_name', true), '')
  )
$$;
revoke execute on function sigma.who_writes from public;

-- Whoever else changes has_access is on record as well, by login, role and program, and the pages are told.
create or replace function sigma.note_access() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if coalesce(new.has_access, false) is distinct from coalesce(old.has_access, false)
    and coalesce(current_setting('sigma.access_explained', true), '') <> new.id::text then
    insert into billing.access_changes (user_id, before, after, rule, price_id, cause)
      values (new.id, coalesce(old.has_access, false), coalesce(new.has_access, false), 'by hand', new.price_id,
        sigma.who_writes());
  end if;
  perform sigma.tell_billing(new.id);
  return null;
end;
$$;

-- A profile that is deleted takes access along. With the account the record goes, too.
create function sigma.note_access_gone() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into billing.access_changes (user_id, before, after, rule, price_id, cause)
    select old.id, true, false, 'profile deleted', old.price_id, sigma.who_writes()
    from auth.users where id = old.id;
  perform sigma.tell_billing(old.id);
  return null;
end;
$$;
revoke execute on function sigma.note_access_gone from public;
create trigger note_access_gone after delete on public.profiles
  for each row when (old.has_access) execute function sigma.note_access_gone();

-- A profile that is made anew is looked at again; some seconds later, so that one who does that in a loop costs little.
create or replace function sigma.look_again() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if exists (select from billing.customers where user_id = new.id) then
    perform sigma.queue_look_again(new.id, 'profile made anew', now() + interval '3 seconds');
  end if;
  return null;
end;
$$;

-- Stripe's events are worked from a queue of their own: each asks Stripe, which may be slow, and mails must not wait.
create function sigma.queue_stripe_event(event text) returns bigint
language sql volatile set search_path = '' as $$
  select (procrastinate.procrastinate_defer_jobs_v1(array[
    row('stripe events', 'billing:apply_event', 0, null, null, jsonb_build_object('event_id', event), null)
      ::procrastinate.procrastinate_job_to_defer_v1
  ]))[1]
$$;
revoke execute on function sigma.queue_stripe_event from public;
grant execute on function sigma.queue_stripe_event to service_role;

-- An event of Stripe's, kept once however often it is told, with the job that works it; whether it is new.
create or replace function sigma.keep_stripe_event(event text, kind text, customer text, at timestamptz, content jsonb)
returns boolean language plpgsql set search_path = '' as $$
begin
  insert into sigma.webhook_events (source, id, type, customer, created_at, body)
    values ('stripe', event, kind, customer, at, content) on conflict do nothing;
  if not found then
    return false;
  end if;
  perform sigma.queue_stripe_event(event);
  return true;
end;
$$;

-- A bank debit takes days, while its subscription is active already.
alter table billing.subscriptions add column collecting boolean not null default false; -- its latest invoice is open

-- Written, and never read.
alter table billing.checkouts drop column mode, drop column expires_at;
