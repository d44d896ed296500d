-- Telling somebody what is kept of them, and forgetting it, asks for the events about them: those of mails by the digest of
-- their address, since nobody else may know it any more, and those of payments by every id that Stripe names in them.

-- convert_to() is not immutable by its own word, since it could change with the encoding of the database, which cannot.
create function sigma.digests_of(addresses jsonb) returns bytea[]
language sql immutable parallel safe
return array(
  select sha256(convert_to(lower(address #>> '{}'), 'UTF8')) from jsonb_path_query(addresses, '$[*]') as address
);
revoke execute on function sigma.digests_of(jsonb) from public;
grant execute on function sigma.digests_of(jsonb) to service_role;

-- Without fastupdate, since whoever asks for many ids would read what is pending once for each.
create index webhook_events_to on sigma.webhook_events
  using gin (sigma.digests_of(body #> '{data,to}')) with (fastupdate = off) where source = 'resend';
create index webhook_events_naming on sigma.webhook_events using gin ((
  array[customer, body #>> '{data,object,id}', body #>> '{data,object,payment_intent}',
    body #>> '{data,object,charge}', body #>> '{data,object,invoice}',
    body #>> '{data,object,parent,subscription_details,subscription}']
)) with (fastupdate = off) where source = 'stripe';

-- An operator whose address somebody else signed in with here since has none in this database, and is named by id.
create or replace function sigma.operators() returns setof text
language sql stable security definer set search_path = '' as $$
  select coalesce(email, id::text) as name from auth.users where raw_app_meta_data ->> 'role' = 'admin' order by name
$$;
