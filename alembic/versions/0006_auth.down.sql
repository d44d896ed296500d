-- Schema auth back to its users. The role stays: it belongs to the whole cluster.

drop function sigma.queue_auth_mail;
drop policy auth_itself on auth.users;
drop table
  auth.flow_state, auth.one_time_tokens, auth.refresh_tokens, auth.mfa_amr_claims, auth.sessions, auth.identities;
drop type auth.one_time_token_type, auth.code_challenge_method, auth.aal_level;
revoke all on auth.users from supabase_auth_admin;
revoke usage on schema auth, sigma from supabase_auth_admin;
