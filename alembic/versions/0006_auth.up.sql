-- Schema auth beside its users, in Supabase's own shape (supabase/auth, migrations up to version 2.196): rows move to a
-- hosted project as they are.

create type auth.aal_level as enum ('aal1', 'aal2', 'aal3');
create type auth.code_challenge_method as enum ('s256', 'plain');
create type auth.one_time_token_type as enum (
  'confirmation_token', 'reauthentication_token', 'recovery_token',
  'email_change_token_new', 'email_change_token_current', 'phone_change_token'
);

-- The ways in which a user signs in; here by e-mail alone.
create table auth.identities (
  provider_id text not null,
  user_id uuid not null references auth.users on delete cascade,
  identity_data jsonb not null,
  provider text not null,
  last_sign_in_at timestamptz,
  created_at timestamptz,
  updated_at timestamptz,
  email text generated always as (lower(identity_data ->> 'email')) stored,
  id uuid primary key default gen_random_uuid(),
  constraint identities_provider_id_provider_unique unique (provider_id, provider)
);
create index identities_user_id_idx on auth.identities (user_id);
create index identities_email_idx on auth.identities (email text_pattern_ops);

create table auth.sessions (
  id uuid primary key,
  user_id uuid not null references auth.users on delete cascade,
  created_at timestamptz,
  updated_at timestamptz,
  factor_id uuid,
  aal auth.aal_level,
  not_after timestamptz,
  refreshed_at timestamp,
  user_agent text,
  ip inet,
  tag text,
  oauth_client_id uuid,
  refresh_token_hmac_key text,
  refresh_token_counter bigint,
  scopes text check (char_length(scopes) <= 4096)
);
create index sessions_user_id_idx on auth.sessions (user_id);
create index sessions_not_after_idx on auth.sessions (not_after desc);
create index user_id_created_at_idx on auth.sessions (user_id, created_at);

-- How a session was signed in to; a token names them as its amr.
create table auth.mfa_amr_claims (
  session_id uuid not null references auth.sessions on delete cascade,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  authentication_method text not null,
  id uuid not null,
  constraint amr_id_pk primary key (id),
  constraint mfa_amr_claims_session_id_authentication_method_pkey unique (session_id, authentication_method)
);

create table auth.refresh_tokens (
  instance_id uuid,
  id bigserial primary key,
  token varchar(255) constraint refresh_tokens_token_unique unique,
  user_id varchar(255),
  revoked boolean,
  created_at timestamptz,
  updated_at timestamptz,
  parent varchar(255),
  session_id uuid references auth.sessions on delete cascade
);
create index refresh_tokens_instance_id_idx on auth.refresh_tokens (instance_id);
create index refresh_tokens_instance_id_user_id_idx on auth.refresh_tokens (instance_id, user_id);
create index refresh_tokens_parent_idx on auth.refresh_tokens (parent);
create index refresh_tokens_session_id_revoked_idx on auth.refresh_tokens (session_id, revoked);
create index refresh_tokens_updated_at_idx on auth.refresh_tokens (updated_at desc);

create table auth.one_time_tokens (
  id uuid primary key,
  user_id uuid not null references auth.users on delete cascade,
  token_type auth.one_time_token_type not null,
  token_hash text not null check (char_length(token_hash) > 0),
  relates_to text not null,
  created_at timestamp not null default now(),
  updated_at timestamp not null default now()
);
create index one_time_tokens_token_hash_hash_idx on auth.one_time_tokens using hash (token_hash);
create index one_time_tokens_relates_to_hash_idx on auth.one_time_tokens using hash (relates_to);
create unique index one_time_tokens_user_id_token_type_key on auth.one_time_tokens (user_id, token_type);

-- A PKCE flow between its start and the exchange of its code.
create table auth.flow_state (
  id uuid primary key,
  user_id uuid,
  auth_code text,
  code_challenge_method auth.code_challenge_method,
  code_challenge text,
  provider_type text not null,
  provider_access_token text,
  provider_refresh_token text,
  created_at timestamptz,
  updated_at timestamptz,
  authentication_method text not null,
  auth_code_issued_at timestamptz,
  invite_token text,
  referrer text,
  oauth_client_state_id uuid,
  linking_target_id uuid,
  email_optional boolean not null default false
);
create index idx_auth_code on auth.flow_state (auth_code);
create index idx_user_id_auth_method on auth.flow_state (user_id, authentication_method);
create index flow_state_created_at_idx on auth.flow_state (created_at desc);

do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'supabase_auth_admin') then
    begin
      create role supabase_auth_admin nologin noinherit;
    exception
      when duplicate_object or unique_violation then
        null;  -- roles belong to the cluster: another of its databases is being migrated at this moment
    end;
  end if;
  if not exists (
    select from pg_catalog.pg_auth_members
    where roleid = 'supabase_auth_admin'::regrole and member = 'authenticator'::regrole
  ) then
    grant supabase_auth_admin to authenticator;
  end if;
end
$$;

-- Nobody but auth itself sees these tables. On Supabase it owns them; here the owner of the database does.
do $$
declare
  name text;
begin
  foreach name in array array[
    'users', 'identities', 'sessions', 'mfa_amr_claims', 'refresh_tokens', 'one_time_tokens', 'flow_state'
  ] loop
    execute format('alter table auth.%I enable row level security', name);
    execute format('create policy auth_itself on auth.%I to supabase_auth_admin using (true) with check (true)', name);
    execute format('grant select, insert, update, delete on auth.%I to supabase_auth_admin', name);
  end loop;
end
$$;
grant usage on schema auth, sigma to supabase_auth_admin;
grant usage on all sequences in schema auth to supabase_auth_admin;

-- A mail with a link and a code, queued in the transaction that made them: auth may queue this job and no other. The
-- arguments are ids and an address to return to; what opens anything follows from the row and a key (embedded/supabase).
-- Its queue is that of whoever serves auth and has that key, which need not be the application that shares the database.
create function sigma.queue_auth_mail(args jsonb) returns bigint
language sql volatile security definer set search_path = '' as $$
  select (procrastinate.procrastinate_defer_jobs_v1(array[
    row('supabase', 'accounts:send_auth_mail', 0, null, null, args, null)::procrastinate.procrastinate_job_to_defer_v1
  ]))[1]
$$;
revoke execute on function sigma.queue_auth_mail from public;
grant execute on function sigma.queue_auth_mail to supabase_auth_admin;
