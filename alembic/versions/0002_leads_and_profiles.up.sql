-- Who may do what with leads and profiles, and what happens by itself. On adopted tables this replaces what has the same
-- name.

-- Supabase gives every new table in `public`, whole, to these three roles (TRUNCATE included, which no policy stops).
-- So first nothing, then what is needed, by column where a policy alone would say too much.
revoke all on public.leads, public.profiles from public, anon, authenticated, service_role;
grant all on public.leads, public.profiles to service_role;

-- Row level security is enabled and not forced: the owner, which no request is, must see every row to back it up.
alter table public.leads enable row level security, no force row level security;
alter table public.profiles enable row level security, no force row level security;


-- Leads: anybody may join, nobody but the service may look.

grant insert (
  email, utm_source, utm_medium, utm_campaign, utm_term, utm_content, referrer, landing_path, referral_code,
  consent_version
) on public.leads to anon, authenticated;

drop policy if exists insert_lead on public.leads;
create policy insert_lead on public.leads for insert to anon, authenticated with check (true);

-- The time of consent is the database's: a visitor says to which text, never when.
create or replace function public.stamp_consent() returns trigger language plpgsql as $$
begin
  if new.consent_version is null then
    new.consent_at := null;
  elsif tg_op = 'INSERT' then
    new.consent_at := coalesce(new.consent_at, now());  -- the service may bring a time along, with an import
  elsif new.consent_version is distinct from old.consent_version
    and new.consent_at is not distinct from old.consent_at then
    new.consent_at := now();
  end if;
  return new;
end;
$$;

create or replace trigger stamp_leads_consent before insert or update of consent_version, consent_at on public.leads
  for each row execute function public.stamp_consent();

-- How many are on the list, for the landing page: a number, and no way to an address.
-- Exact up to 100,000; beyond, Postgres' own estimate, as the planner makes it from the table's size now, since an
-- exact count takes longer with every lead (21 ms for 1,000,000; this 3 ms) and anybody may ask. A counter row would be
-- exact and fast, and every join would wait for the one before it.
create or replace function public.founder_count() returns bigint
language sql stable security definer set search_path = '' as $$
  select case
    when counted.n <= 100000 then counted.n
    else greatest(counted.n, (
      select (c.reltuples / greatest(c.relpages, 1)
        * (pg_relation_size(c.oid) / current_setting('block_size')::integer))::bigint
      from pg_catalog.pg_class as c
      where c.oid = 'public.leads'::regclass
    ))
  end
  from (select count(*) as n from (select from public.leads limit 100001) as first_ones) as counted
$$;


-- Profiles: everybody their own.

grant select, delete on public.profiles to authenticated;
grant insert (id, name, email, image) on public.profiles to authenticated;
-- The billing columns are here because the documented PATCH names has_access; the guard below judges the value.
grant update (id, name, email, image, customer_id, price_id, has_access) on public.profiles to authenticated;

-- (select auth.uid()) is evaluated once for a statement, auth.uid() once for a row.
drop policy if exists read_own_profile_data on public.profiles;
create policy read_own_profile_data on public.profiles for select to authenticated
  using ((select auth.uid()) = id);
drop policy if exists insert_own_profile_data on public.profiles;
create policy insert_own_profile_data on public.profiles for insert to authenticated
  with check ((select auth.uid()) = id);
drop policy if exists update_own_profile_data on public.profiles;
create policy update_own_profile_data on public.profiles for update to authenticated
  using ((select auth.uid()) = id) with check ((select auth.uid()) = id);
drop policy if exists delete_own_profile_data on public.profiles;
create policy delete_own_profile_data on public.profiles for delete to authenticated
  using ((select auth.uid()) = id);

-- Whoever row level security binds cannot give themselves what checkout sells: not by changing a profile, and not by
-- deleting and making it anew, since a new one starts without. It binds neither the service nor the owner.
create or replace function public.guard_billing_columns() returns trigger
language plpgsql set search_path = '' as $$
begin
  if not row_security_active('public.profiles') then
    return new;
  end if;
  if tg_op = 'INSERT' then
    if new.has_access is true or new.customer_id is not null or new.price_id is not null then
      raise exception 'a new profile starts without has_access, customer_id and price_id'
        using errcode = 'insufficient_privilege', hint = 'Stripe checkout sets them.';
    end if;
  elsif (new.id, new.has_access, new.customer_id, new.price_id)
    is distinct from (old.id, old.has_access, old.customer_id, old.price_id) then
    raise exception 'id, has_access, customer_id and price_id of a profile cannot be changed'
      using errcode = 'insufficient_privilege', hint = 'Stripe checkout sets has_access, customer_id and price_id.';
  end if;
  return new;
end;
$$;

create or replace trigger guard_profiles_billing before insert or update on public.profiles
  for each row execute function public.guard_billing_columns();

-- As documented.
create or replace function public.update_updated_at() returns trigger language plpgsql as $$
begin
  new.updated_at = now();
  return new;
end;
$$;

-- The document names the function and no trigger: an adopted table may run it by another name.
do $$
declare
  other name;
begin
  for other in
    select tgname from pg_catalog.pg_trigger
    where tgrelid = 'public.profiles'::regclass and tgfoid = 'public.update_updated_at()'::regprocedure
      and tgname <> 'update_profiles_updated_at'
  loop
    execute format('drop trigger %I on public.profiles', other);
  end loop;
end
$$;

create or replace trigger update_profiles_updated_at before update on public.profiles
  for each row execute function public.update_updated_at();

-- As documented, and safe to run with its owner's rights: whoever signs up has none on profiles. A profile that is
-- there already must never break a registration.
create or replace function public.handle_new_user() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into public.profiles (id, email) values (new.id, new.email) on conflict do nothing;
  return new;
end;
$$;

-- One that does this already stays, also one that somebody else made on a table where we may make none. One by another
-- name goes if the table is ours, since only its owner may drop it; where it is not, it is harmless.
do $$
declare
  same record;
  there boolean := false;
begin
  for same in
    select tgname, pg_catalog.pg_has_role(relowner, 'usage') as droppable
    from pg_catalog.pg_trigger join pg_catalog.pg_class on pg_class.oid = tgrelid
    where tgrelid = 'auth.users'::regclass and tgfoid = 'public.handle_new_user()'::regprocedure
      and tgtype = 1 + 4  -- for each row, on insert; and not before
      and tgenabled = 'O' and tgqual is null and tgconstraint = 0
  loop
    if same.tgname <> 'on_auth_user_created' and same.droppable then
      execute format('drop trigger %I on auth.users', same.tgname);
    else
      there := true;
    end if;
  end loop;
  if not there then
    create or replace trigger on_auth_user_created after insert on auth.users
      for each row execute function public.handle_new_user();
  end if;
end
$$;


-- Postgres lets everybody call a new function, and Supabase gives it to its roles by name as well. A trigger needs no such
-- grant to run.
revoke all on function
  public.stamp_consent(), public.guard_billing_columns(), public.update_updated_at(), public.handle_new_user(),
  public.founder_count()
from public, anon, authenticated, service_role;
grant execute on function public.founder_count() to anon, authenticated, service_role;
