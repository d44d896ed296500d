drop trigger tell_console on sigma.suppressions;
drop trigger tell_console on sigma.sessions;
drop trigger if exists tell_console on auth.users;
drop function sigma.note_disabled(uuid, timestamptz), sigma.note_told(text);
drop index if exists auth.users_newest, auth.users_email_prefix;
alter view sigma.accounts set (security_barrier);
drop index sigma.webhook_events_of_mail, sigma.webhook_events_newest;
drop table sigma.messages;
