-- A person asks what is kept about them, or to be forgotten: by their address. The service alone may ask; schema auth
-- stays closed to it. A profile's address is its owner's to write, and so nobody's proof.

create function sigma.find_account(address text) returns uuid
language plpgsql stable security definer set search_path = '' as $$
begin
  return (select id from auth.users where lower(email) = lower(address) limit 1);
end;
$$;

-- What auth keeps about somebody, but for what would sign them in: null where there is nobody. Columns are chosen by name,
-- so that one that Supabase adds tells nothing before somebody has looked at it.
create function sigma.account_record(account uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  told constant text[] := array[
    'id', 'email', 'email_change', 'phone', 'created_at', 'updated_at', 'email_confirmed_at', 'invited_at',
    'confirmation_sent_at', 'recovery_sent_at', 'email_change_sent_at', 'last_sign_in_at', 'banned_until', 'raw_app_meta_data',
    'raw_user_meta_data', 'provider', 'identity_data', 'refreshed_at', 'not_after', 'user_agent', 'ip'
  ];
  record jsonb;
  part text;
  rows jsonb;
begin
  select to_jsonb(one) into record from auth.users as one where id = account;
  if record is null then
    return null;
  end if;
  select jsonb_object_agg(key, value) into record from jsonb_each(record) where key = any(told) and value <> 'null';
  foreach part in array array['identities', 'sessions'] loop
    continue when to_regclass('auth.' || part) is null;
    execute format(
      'select coalesce(jsonb_agg((
         select jsonb_object_agg(key, value) from jsonb_each(to_jsonb(one)) where key = any($1) and value <> ''null''
       )), ''[]'') from auth.%I as one where user_id = $2', part
    ) into rows using told, account;
    record := record || jsonb_build_object(part, rows);
  end loop;
  return record;
end;
$$;

revoke execute on function sigma.find_account(text), sigma.account_record(uuid) from public;
grant execute on function sigma.find_account(text), sigma.account_record(uuid) to service_role;
