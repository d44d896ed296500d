-- Who has access, why, and who is told.

-- Whether whoever asks has access: for the policies of later tables, as (select has_access()), once for a statement.
create function public.has_access() returns boolean
language sql stable security definer set search_path = '' as $$
  select exists (select from public.profiles where id = (select auth.uid()) and has_access)
$$;
revoke all on function public.has_access() from public, anon, authenticated, service_role;
grant execute on function public.has_access() to authenticated, service_role;

-- An event of Stripe's, kept once however often it is told, with the job that works it; whether it is new.
create function sigma.keep_stripe_event(event text, kind text, customer text, at timestamptz, content jsonb)
returns boolean language plpgsql set search_path = '' as $$
begin
  insert into sigma.webhook_events (source, id, type, customer, created_at, body)
    values ('stripe', event, kind, customer, at, content) on conflict do nothing;
  if not found then
    return false;
  end if;
  perform sigma.queue_job('billing:apply_event', jsonb_build_object('event_id', event));
  return true;
end;
$$;

-- Where somebody is written to about money: the address that was proved to be theirs, not what their profile says.
create function sigma.proved_address(account uuid) returns text
language sql stable security definer set search_path = '' as $$
  select email from auth.users where id = account and email_confirmed_at is not null
$$;

-- Stripe's receipts follow somebody to another address.
create function sigma.tell_stripe_address() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if exists (select from billing.customers where user_id = new.id and deleted_at is null) then
    perform sigma.queue_job('billing:tell_address', jsonb_build_object('user', new.id));
  end if;
  return null;
end;
$$;
do $$
begin
  if has_table_privilege('auth.users', 'trigger') then
    create trigger tell_stripe_address after update of email on auth.users
      for each row when (new.email is distinct from old.email and new.email is not null)
      execute function sigma.tell_stripe_address();
  end if;
end
$$;

-- The pages that show what somebody pays for are told to look again, in whichever process they are.
create function sigma.tell_billing(account uuid) returns void
language sql volatile set search_path = '' as $$
  select pg_notify('sigma_billing', id::text) from sigma.sessions where user_id = account
$$;

-- The one way in which billing gives and takes access. Writes what changed to the profile, and a line where access, its
-- reason or what is paid for it changed; whether access itself did. Without a profile, which its owner may have deleted, nobody has access.
create function sigma.set_access(
  account uuid, granted boolean, customer text, price text, rule text, subject text, cause text, event text
) returns boolean language plpgsql set search_path = '' as $$
declare
  known public.profiles;
  last_rule text;
  last_price text;
  held text := case when granted then price end;  -- a profile names what is paid for, not what was
begin
  select * into known from public.profiles where id = account for update;
  if not found then
    return false;
  end if;
  select change.rule, change.price_id into last_rule, last_price from billing.access_changes as change
    where change.user_id = account order by change.id desc limit 1;
  if granted is distinct from coalesce(known.has_access, false)
    or set_access.rule is distinct from coalesce(last_rule, 'nothing')
    or (granted and price is distinct from last_price) then
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

-- Whoever else changes has_access, the service by hand say, is on record as well, and the pages are told.
create function sigma.note_access() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if coalesce(new.has_access, false) is distinct from coalesce(old.has_access, false)
    and coalesce(current_setting('sigma.access_explained', true), '') <> new.id::text then
    insert into billing.access_changes (user_id, before, after, rule, price_id, cause)
      values (new.id, coalesce(old.has_access, false), coalesce(new.has_access, false), 'by hand', new.price_id, session_user);
  end if;
  perform sigma.tell_billing(new.id);
  return null;
end;
$$;
create trigger note_access after update of has_access, price_id, customer_id on public.profiles
  for each row when ((old.has_access, old.price_id, old.customer_id)
    is distinct from (new.has_access, new.price_id, new.customer_id))
  execute function sigma.note_access();

-- Holds an account as the first thing, so that its deletion, which begins there as well, waits and meets nobody half-way.
create function sigma.hold_account(account uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
  if has_table_privilege('auth.users', 'update') then
    perform from auth.users where id = account for key share;
  end if;
end;
$$;

-- However an account goes, what it pays for at Stripe goes as well.
create function sigma.close_customer() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if old.deleted_at is null then
    perform sigma.queue_job('billing:close_customer', jsonb_build_object('customer', old.id));
  end if;
  return old;
end;
$$;
create trigger close_customer before delete on billing.customers
  for each row execute function sigma.close_customer();

-- Somebody is looked at again, at some time and for some reason; one job for each reason waits, however often it is given.
create function sigma.queue_look_again(account uuid, cause text, at timestamptz default null) returns void
language plpgsql set search_path = '' as $$
begin
  if not exists (
    select from procrastinate.procrastinate_jobs
    where task_name = 'billing:look_again' and status = 'todo'
      and args ->> 'user' = account::text and args ->> 'cause' = queue_look_again.cause
  ) then
    perform sigma.queue_job('billing:look_again', jsonb_build_object('user', account, 'cause', cause), at);
  end if;
end;
$$;

-- A profile that its owner deleted and made anew starts without access; what was bought is theirs all the same.
create function sigma.look_again() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if exists (select from billing.customers where user_id = new.id) then
    perform sigma.queue_look_again(new.id, 'profile made anew');
  end if;
  return null;
end;
$$;
create trigger look_again after insert on public.profiles for each row execute function sigma.look_again();

do $$
declare
  name regprocedure;
begin
  for name in
    select oid from pg_catalog.pg_proc
    where pronamespace = 'sigma'::regnamespace
      and proname in (
        'keep_stripe_event', 'proved_address', 'tell_stripe_address', 'tell_billing', 'set_access', 'note_access', 'look_again',
        'hold_account', 'close_customer', 'queue_look_again'
      )
  loop
    execute format('revoke execute on function %s from public', name);
    execute format('grant execute on function %s to service_role', name);
  end loop;
end
$$;
