create or replace function sigma.note_user(account uuid, address text) returns void
language plpgsql security definer set search_path = '' as $$
begin
  insert into auth.users as known (id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data,
                                   created_at, updated_at)
    values (account, 'authenticated', 'authenticated', address, now(), '{"lives_elsewhere": true}', '{}', now(), now())
    on conflict (id) do update set email = excluded.email, updated_at = now()
      where known.raw_app_meta_data ->> 'lives_elsewhere' = 'true' and known.email is distinct from excluded.email;
end;
$$;
