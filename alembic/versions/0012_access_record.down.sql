alter table billing.checkouts
  add column mode text not null default 'payment' check (mode in ('payment', 'subscription')),
  add column expires_at timestamptz not null default now();
alter table billing.checkouts alter column mode drop default, alter column expires_at drop default;
alter table billing.subscriptions drop column collecting;
drop trigger note_access_gone on public.profiles;
drop function sigma.note_access_gone();

create or replace function sigma.keep_stripe_event(event text, kind text, customer text, at timestamptz, content jsonb)
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

create or replace function sigma.look_again() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if exists (select from billing.customers where user_id = new.id) then
    perform sigma.queue_look_again(new.id, 'profile made anew');
  end if;
  return null;
end;
$$;
drop function sigma.queue_stripe_event(text);
update procrastinate.procrastinate_jobs set queue_name = 'default' where queue_name = 'stripe events';

create or replace function sigma.set_access(
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

create or replace function sigma.note_access() returns trigger
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
drop function sigma.who_writes();
