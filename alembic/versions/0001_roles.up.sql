-- The roles that every Supabase project has, where they are missing, and the role that requests log in with.

do $$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('anon', 'nologin noinherit'),                    -- a visitor
      ('authenticated', 'nologin noinherit'),           -- somebody signed in
      ('service_role', 'nologin noinherit bypassrls'),  -- Sigma itself
      ('authenticator', 'login noinherit')              -- may become each of the three, and is nothing by itself
    ) as role (name, attributes)
  loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
      begin
        execute format('create role %I %s', wanted.name, wanted.attributes);
      exception
        when duplicate_object or unique_violation then
          null;  -- roles belong to the cluster: another of its databases is being migrated at this moment
        when insufficient_privilege then
          raise exception 'the role % is missing, and % may not create it', wanted.name, current_user
            using errcode = 'insufficient_privilege',
                  hint = format('Have an administrator run: create role %I %s.', wanted.name, wanted.attributes);
      end;
    end if;
  end loop;
end
$$;

do $$
declare
  -- Supabase keeps `authenticator` for itself: nobody but its own services may change its password.
  login text := 'authenticator';
  granted text;
begin
  if exists (select from pg_catalog.pg_roles where rolname = 'supabase_admin') then
    login := 'sigma_login';
    if not exists (select from pg_catalog.pg_roles where rolname = login) then
      execute format('create role %I login noinherit', login);
    end if;
  end if;
  foreach granted in array array['anon', 'authenticated', 'service_role'] loop
    if not exists (
      select from pg_catalog.pg_auth_members
      where roleid = granted::regrole and member = login::regrole
    ) then
      execute format('grant %I to %I', granted, login);
    end if;
  end loop;
  if not exists (
    select from pg_catalog.pg_db_role_setting
    where setrole = login::regrole and setdatabase = 0
  ) then
    -- No request may hold a connection for long (the same 8 s that Supabase gives its authenticator).
    execute format('alter role %I set statement_timeout = %L', login, '8s');
    execute format('alter role %I set lock_timeout = %L', login, '8s');
    execute format('alter role %I set idle_in_transaction_session_timeout = %L', login, '60s');
    -- The documented defaults of created_at and updated_at are right in UTC only.
    execute format('alter role %I set timezone = %L', login, 'UTC');
  end if;
end
$$;

grant usage on schema public to anon, authenticated, service_role;
