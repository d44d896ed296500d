drop trigger look_again on public.profiles;
drop trigger close_customer on billing.customers;
drop function sigma.hold_account(uuid), sigma.close_customer(), sigma.queue_look_again(uuid, text, timestamptz);
drop trigger note_access on public.profiles;
drop function sigma.tell_stripe_address() cascade;  -- with its trigger, on a table that may not be ours
drop function sigma.proved_address(uuid), sigma.look_again(), sigma.note_access(), sigma.tell_billing(uuid), public.has_access(),
  sigma.set_access(uuid, boolean, text, text, text, text, text, text),
  sigma.keep_stripe_event(text, text, text, timestamptz, jsonb);
