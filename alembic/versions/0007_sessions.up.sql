-- Who is signed in to the portal. Everything in `sigma` is the service's: requests reach it as service_role.

-- A session is named by a cookie, of which the database knows the hash. Supabase's tokens lie here sealed with a key that
-- follows from the cookie (sigma_app/session/sealing.py): whoever reads this table can neither be anybody nor ask Supabase
-- as anybody.
create table sigma.sessions (
  id uuid primary key default gen_random_uuid(),
  digest bytea not null unique,           -- SHA-256 of the cookie
  user_id uuid not null references auth.users on delete cascade,
  email text not null,                    -- as Supabase knew it when the tokens were last renewed
  tokens bytea not null,
  tokens_end_at timestamptz not null,
  recovered boolean not null default false,  -- opened by a link for a forgotten password: a new one needs no old one
  user_agent text not null default '',
  created_at timestamptz not null default now(),
  seen_at timestamptz not null default now()
);
create index sessions_user on sigma.sessions (user_id, seen_at desc);
create index sessions_seen on sigma.sessions (seen_at);

grant select, insert, update, delete on sigma.sessions to service_role;

-- However a session ends, the process that holds its tabs hears of it.
create function sigma.tell_session_ended() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform pg_notify('sigma_sessions', old.id::text);
  return null;
end;
$$;

create trigger tell_session_ended after delete on sigma.sessions
  for each row execute function sigma.tell_session_ended();

-- The profile's address follows the account's, once the account's has moved. What its owner writes there meanwhile stays
-- until then.
create function sigma.follow_address() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  update public.profiles set email = new.email where id = new.id and email is distinct from new.email;
  update sigma.sessions set email = new.email where user_id = new.id;
  return null;
end;
$$;

do $$
begin
  if has_table_privilege('auth.users', 'trigger') then
    create trigger follow_address after update of email on auth.users
      for each row when (new.email is distinct from old.email and new.email is not null)
      execute function sigma.follow_address();
  end if;
end
$$;

-- Where the accounts are in a Supabase project and the database is another one, this one has users by name only, so that
-- profiles have whom to belong to. In the project's own database the user is there, and stays as it is.
create function sigma.note_user(account uuid, address text) returns void
language plpgsql security definer set search_path = '' as $$
begin
  insert into auth.users as known (id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data,
                                   created_at, updated_at)
    values (account, 'authenticated', 'authenticated', address, now(), '{"lives_elsewhere": true}', '{}', now(), now())
    on conflict (id) do update set email = excluded.email, updated_at = now()
      where known.raw_app_meta_data ->> 'lives_elsewhere' = 'true' and known.email is distinct from excluded.email;
end;
$$;

-- And they leave with their account.
create function sigma.forget_user(account uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
  delete from auth.users where id = account and raw_app_meta_data ->> 'lives_elsewhere' = 'true';
end;
$$;

do $$
declare
  name regprocedure;
begin
  for name in
    select oid from pg_catalog.pg_proc
    where pronamespace = 'sigma'::regnamespace
      and proname in ('tell_session_ended', 'follow_address', 'note_user', 'forget_user')
  loop
    execute format('revoke execute on function %s from public', name);
    execute format('grant execute on function %s to service_role', name);
  end loop;
end
$$;
