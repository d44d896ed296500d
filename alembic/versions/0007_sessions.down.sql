drop function sigma.follow_address() cascade;  -- with its trigger, on a table that may not be ours
drop function sigma.note_user(uuid, text), sigma.forget_user(uuid);
drop table sigma.sessions;
drop function sigma.tell_session_ended();
