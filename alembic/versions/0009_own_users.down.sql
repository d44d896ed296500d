create or replace function sigma.note_user(account uuid, address text) returns void
language plpgsql security definer set search_path = '' as $$
declare
  ours text;
begin
  update auth.users set email = null, updated_at = now()
    where email = address and id <> account and raw_app_meta_data ->> 'lives_elsewhere' = 'true';
  if not exists (select from auth.users where email = address and id <> account) then
    ours := address;
  end if;
  insert into auth.users as known (id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data,
                                   created_at, updated_at)
    values (account, 'authenticated', 'authenticated', ours, now(), '{"lives_elsewhere": true}', '{}', now(), now())
    on conflict (id) do update set email = excluded.email, updated_at = now()
      where known.raw_app_meta_data ->> 'lives_elsewhere' = 'true' and known.email is distinct from excluded.email;
end;
$$;
