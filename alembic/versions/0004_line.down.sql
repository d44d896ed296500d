-- Leads stay, without what happened to them after they joined.

drop trigger note_customer on public.profiles;
drop trigger note_sign_up on public.profiles;
drop trigger ask_to_confirm on public.leads;
drop trigger line_blocks_insert on public.leads;
drop trigger line_blocks_update on public.leads;
drop trigger line_blocks_delete on public.leads;
drop trigger line_blocks_truncate on public.leads;
drop function sigma.note_sign_up, sigma.ask_to_confirm, sigma.send_again, sigma.invite, sigma.send_link, sigma.erase,
  sigma.unsubscribe, sigma.confirm, sigma.new_share_code, sigma.mailbox_of, sigma.place, sigma.waiting, sigma.keep_line_blocks,
  sigma.hold_line;
drop table sigma.line_blocks, sigma.consents, sigma.lead_links;
