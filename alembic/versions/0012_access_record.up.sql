-- The record of access says more: which subscription or purchase took the place of another at the same price, that a
-- profile went with its access, and with what somebody came who changed it by hand.

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

-- Whoever else changes has_access is on record as well, by login, role and program, and the pages are told.
create or replace function sigma.note_access() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if coalesce(new.has_access, false) is distinct from coalesce(old.has_access, false)
    and coalesce(current_setting('sigma.access_explained', true), '') <> new.id::text then
    insert into billing.access_changes (user_id, before, after, rule, price_id, cause)
      values (new.id, coalesce(old.has_access, false), coalesce(new.has_access, false), 'by hand', new.price_id,
        concat_ws(', ', session_user, nullif(current_setting('role', true), 'none'), nullif(current_setting('application_name', true), '')));
  end if;
  perform sigma.tell_billing(new.id);
  return null;
end;
$$;

-- A profile that its owner deletes takes access along. With the account the record goes, too.
create function sigma.note_access_gone() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into billing.access_changes (user_id, before, after, rule, price_id, cause)
    select old.id, true, false, 'profile deleted', old.price_id, 'profile deleted'
    from auth.users where id = old.id;
  perform sigma.tell_billing(old.id);
  return null;
end;
$$;
revoke execute on function sigma.note_access_gone from public;
create trigger note_access_gone after delete on public.profiles
  for each row when (old.has_access) execute function sigma.note_access_gone();

-- Written, and never read.
alter table billing.checkouts drop column mode, drop column expires_at;
