-- Schema auth beside its table: run only where Sigma itself has just created the schema.

-- The downgrade drops the schema only where it finds this comment.
comment on schema auth is 'Laid by Sigma in the shape of Supabase Auth.';
comment on table auth.users is 'Auth: Stores user login data within a secure schema.';

grant usage on schema auth to anon, authenticated, service_role;
alter table auth.users enable row level security;

-- As Supabase defines them: the claims as one JSON document, or in the older form as a setting for each claim.
create function auth.uid() returns uuid language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.sub', true), ''),
    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
  )::uuid
$$;

create function auth.role() returns text language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.role', true), ''),
    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role')
  )::text
$$;

create function auth.email() returns text language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.email', true), ''),
    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email')
  )::text
$$;

create function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')
  )::jsonb
$$;
