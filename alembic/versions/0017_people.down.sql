drop trigger tell_console on sigma.suppressions;
drop trigger tell_console on sigma.sessions;
drop function sigma.tell_console_of_account() cascade;  -- and its trigger on auth.users
drop function sigma.note_disabled(uuid, timestamptz), sigma.note_told(text);
drop index if exists auth.users_newest, auth.users_email_prefix;
alter view sigma.accounts set (security_barrier);
drop index sigma.webhook_events_of_mail, sigma.webhook_events_newest;
drop table sigma.messages;
