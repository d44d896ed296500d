-- Undo what the tables do not take with them. CASCADE takes the triggers along, that on auth.users included, which
-- DROP TRIGGER could not do on Supabase, where the table is somebody else's.

drop function public.handle_new_user() cascade;
drop function public.update_updated_at() cascade;
drop function public.guard_billing_columns() cascade;
drop function public.stamp_consent() cascade;
drop function public.founder_count();
