-- Leads stay, without what happened to them after they joined.

drop trigger ask_to_confirm on public.leads;
drop trigger hold_line_first on public.leads;
drop trigger line_blocks_insert on public.leads;
drop trigger line_blocks_update on public.leads;
drop trigger line_blocks_delete on public.leads;
drop trigger line_blocks_truncate on public.leads;
-- CASCADE takes the triggers on auth.users and profiles along; on Supabase the former table is somebody else's.
drop function sigma.note_account_change cascade;
drop function sigma.note_account, sigma.count_code_try, sigma.forget_code_tries, sigma.ask_to_erase, sigma.send_again,
  sigma.due_again, sigma.ask_to_confirm, sigma.remind, sigma.invite, sigma.send_link, sigma.erase, sigma.unsubscribe,
  sigma.confirm, sigma.move_up, sigma.next_number, sigma.new_share_code, sigma.mailbox_of, sigma.place, sigma.waiting,
  sigma.keep_line_blocks, sigma.hold_line_first, sigma.hold_line;
drop table sigma.line_blocks, sigma.consents, sigma.lead_links, sigma.earned, sigma.code_tries;
