-- Drop what the upgrade made. A table that was there before stays, with its rows and with all that guards them: its
-- policies and grants would be open without the triggers.

do $$
begin
  if not exists (select from sigma.adopted where name = 'leads') then
    drop table public.leads;
    drop function public.stamp_consent();
    drop function public.founder_count();
  end if;
  if not exists (select from sigma.adopted where name = 'profiles') then
    drop table public.profiles;
    drop function public.guard_billing_columns();
    drop function public.update_updated_at();
    -- CASCADE takes the trigger on auth.users along, which DROP TRIGGER could not do on Supabase, where the table is
    -- somebody else's.
    drop function public.handle_new_user() cascade;
  end if;
end
$$;
