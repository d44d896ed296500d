-- Drop schema auth with all its users, but only where Sigma laid it. Supabase's own is left alone.

do $$
begin
  if obj_description(to_regnamespace('auth'), 'pg_namespace') like 'Laid by Sigma%' then
    drop schema auth cascade;
  end if;
end
$$;
