-- Mails, for who looks for the beginning of an address: a view of the owner, as sigma.leads_by_address is (0014), since lower()
-- is no way into an index under row level security.
create view sigma.messages_by_address as
  select id, recipient, kind, state, tries, queued_at, note, lower(recipient) as address
  from sigma.messages
  where (select sigma.is_admin());
grant select on sigma.messages_by_address to sigma_operator;
