drop function sigma.find_account(text);
drop function sigma.account_record(uuid);
