-- What happens to a lead after it joined. Everything in `sigma` is the service's: requests reach it as service_role, the
-- triggers as the owner.

-- Links in mails. The database knows a link by its hash only: whoever reads this table can open none of them.
create table sigma.lead_links (
  id uuid primary key default gen_random_uuid(),
  lead_id uuid not null references public.leads on delete cascade,
  purpose text not null check (purpose in ('confirm', 'place', 'invite', 'remind', 'erase')),
  digest bytea unique,                    -- SHA-256 of the token; null until the mail that holds it is written
  code_digest bytea,                      -- of the six digits that do the same, under a key that is not in the database
  tries smallint not null default 0,      -- how often a wrong code was typed
  created_at timestamptz not null default now(),
  written_at timestamptz,                 -- when its mail was first written
  expires_at timestamptz,                 -- counted from then; null: never
  used_at timestamptz
);
create index lead_links_lead on sigma.lead_links (lead_id, purpose, created_at desc);

-- Who agreed to which words, when, and where: a row for each time, none is ever changed.
create table sigma.consents (
  id bigint primary key generated always as identity,
  lead_id uuid not null references public.leads on delete cascade,
  version text not null,
  wording text not null,
  source text not null,                   -- "form" or "confirmation"
  given_at timestamptz not null default now()
);
create index consents_lead on sigma.consents (lead_id);

-- How many wait in each stretch of 1024 keys: a place is told by adding up a thousand numbers instead of a million rows.
create table sigma.line_blocks (
  block bigint primary key,
  waiting bigint not null
);

-- Mailboxes that moved a friend up, as SHA-256: one that is erased and joins again does not do so twice.
create table sigma.earned (digest bytea primary key);

-- How often a code was tried for an address, on the list or not, in the last day: by its SHA-256.
create table sigma.code_tries (
  digest bytea primary key,
  tries integer not null,
  since timestamptz not null default now()
);

grant select, insert, update, delete on sigma.lead_links, sigma.consents, sigma.code_tries to service_role;
grant select, insert on sigma.earned to service_role;
grant select on sigma.line_blocks to service_role;


-- The line. Whoever changes it takes this lock first, before any row: places are given one after the other, and nobody
-- waits for a row that is held by somebody who waits for the line.
create function sigma.hold_line() returns void language sql set search_path = '' as $$
  select pg_advisory_xact_lock(1399414125)  -- "Sigm"; any fixed number that nobody else uses
$$;

create function sigma.keep_line_blocks() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform sigma.hold_line();
  if tg_op = 'TRUNCATE' then
    delete from sigma.line_blocks;
    return null;
  end if;
  if tg_op <> 'INSERT' and old.line_key is not null then
    update sigma.line_blocks set waiting = waiting - 1 where block = old.line_key >> 10;
  end if;
  if tg_op <> 'DELETE' and new.line_key is not null then
    insert into sigma.line_blocks as known values (new.line_key >> 10, 1)
      on conflict (block) do update set waiting = known.waiting + 1;
  end if;
  return null;
end;
$$;

create trigger line_blocks_insert after insert on public.leads
  for each row when (new.line_key is not null) execute function sigma.keep_line_blocks();
create trigger line_blocks_update after update of line_key on public.leads
  for each row when (new.line_key is distinct from old.line_key) execute function sigma.keep_line_blocks();
create trigger line_blocks_delete after delete on public.leads
  for each row when (old.line_key is not null) execute function sigma.keep_line_blocks();
-- Before the rows are locked, so that deleting takes the line first, too.
create function sigma.hold_line_first() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform sigma.hold_line();
  return null;
end;
$$;

create trigger hold_line_first before delete or truncate on public.leads
  for each statement execute function sigma.hold_line_first();
create trigger line_blocks_truncate after truncate on public.leads
  for each statement execute function sigma.keep_line_blocks();

-- The place of a lead: 1 for the next to be invited; null for one that does not wait.
-- The line is in order of keys. Of two with the same key the one with the higher number stands in front: it moved up.
create function sigma.place(lead uuid) returns bigint language sql stable set search_path = '' as $$
  select 1
    + coalesce((select sum(waiting) from sigma.line_blocks where block < mine.line_key >> 10), 0)::bigint
    + (select count(*) from public.leads as other
       where other.line_key >= (mine.line_key >> 10) << 10 and other.line_key <= mine.line_key
         and (other.line_key < mine.line_key or other.line_number > mine.line_number))
  from public.leads as mine
  where mine.id = lead and mine.line_key is not null
$$;

-- How many wait.
create function sigma.waiting() returns bigint language sql stable set search_path = '' as $$
  select coalesce(sum(waiting), 0)::bigint from sigma.line_blocks
$$;

-- The mailbox that an address leads to, as far as it can be told: without +tags, and at Gmail without dots.
create function sigma.mailbox_of(email text) returns text language sql immutable set search_path = '' as $$
  select case
    when domain in ('gmail.com', 'googlemail.com') then replace(plain, '.', '') || '@gmail.com'
    else plain || '@' || domain
  end
  from (
    select split_part(regexp_replace(lower(email), '@[^@]*$', ''), '+', 1) as plain,
      substring(lower(email) from '[^@]*$') as domain
  ) as parts
$$;

-- Moves a lead up by so many places, over those who wait now; to the front where fewer are ahead. The caller holds the
-- line.
create function sigma.move_up(lead uuid, places integer) returns void language plpgsql set search_path = '' as $$
declare
  mine public.leads;
  target public.leads;
  above numeric;  -- the number of the one right in front of the target, where that one has the same key
begin
  select * into mine from public.leads where id = lead;
  select * into target from (
    select * from public.leads
    where line_key <= mine.line_key and (line_key < mine.line_key or line_number > mine.line_number)
    order by line_key desc, line_number
    limit places
  ) as ahead
  order by line_key, line_number desc limit 1;
  if target.id is null then
    return;
  end if;
  select min(line_number) into above from public.leads
    where line_key = target.line_key and line_number > target.line_number;
  update public.leads
    set line_key = target.line_key,  -- times a half is exact, and divided by two is not
      line_number = case when above is null then sigma.next_number() else (target.line_number + above) * 0.5 end
    where id = lead;
end;
$$;

create function sigma.next_number() returns numeric language sql volatile set search_path = '' as $$
  select coalesce(floor(max(line_number)), 0) + 1 from public.leads
$$;

-- Puts a lead in line. The first time whoever brought it moves up by `places`, unless the two share a mailbox, or the
-- mailbox is in line already: that earns nothing, and is marked for the operator.
-- Confirming again changes nothing, except for one who had unsubscribed: that one goes to the end.
create function sigma.confirm(lead uuid, places integer) returns void language plpgsql set search_path = '' as $$
declare
  joined public.leads;
  referrer public.leads;
  box text;
  reason text;
begin
  perform sigma.hold_line();
  select * into joined from public.leads where id = lead for update;
  if joined.id is null or (joined.confirmed_at is not null and joined.unsubscribed_at is null) then
    return;
  end if;
  update public.leads
    set unsubscribed_at = null, line_number = sigma.next_number(),
      line_key = case when invited_at is null and signed_up_at is null then sigma.next_number() end
    where id = lead;
  if joined.confirmed_at is not null then
    return;
  end if;
  box := sigma.mailbox_of(joined.email);
  select * into referrer from public.leads
    where share_code = lower(joined.referral_code) and confirmed_at is not null and id <> lead;
  reason := case
    when referrer.mailbox = box then 'referred by the same mailbox'
    when exists (select from public.leads where mailbox = box and id <> lead) then 'same mailbox as another lead'
    when exists (select from sigma.earned where digest = sha256(convert_to(box, 'UTF8')))
      then 'earned before, and was erased'
  end;
  update public.leads set confirmed_at = now(), mailbox = box, flag = reason, share_code = sigma.new_share_code()
    where id = lead;
  if referrer.id is not null and reason is null then
    insert into sigma.earned values (sha256(convert_to(box, 'UTF8')));
    update public.leads set referrals = referrals + 1 where id = referrer.id;
    perform sigma.move_up(referrer.id, places);
  end if;
end;
$$;

create function sigma.new_share_code() returns text language plpgsql volatile set search_path = '' as $$
declare
  code text;
begin
  loop
    code := left(md5(gen_random_uuid()::text), 8);
    exit when not exists (select from public.leads where share_code = code);
  end loop;
  return code;
end;
$$;

-- Counts a try of a code for an address, whether it is on the list or not; how many there were in the last day.
create function sigma.count_code_try(email text) returns integer language sql volatile set search_path = '' as $$
  insert into sigma.code_tries as known (digest, tries) values (sha256(convert_to(lower(email), 'UTF8')), 1)
    on conflict (digest) do update set
      tries = case when known.since < now() - interval '1 day' then 1 else known.tries + 1 end,
      since = case when known.since < now() - interval '1 day' then now() else known.since end
    returning tries
$$;

create function sigma.forget_code_tries() returns void language sql volatile set search_path = '' as $$
  delete from sigma.code_tries where since < now() - interval '1 day'
$$;

-- Out of the line, by its own wish; whatever is mailed in bulk leaves this lead out from now on.
create function sigma.unsubscribe(lead uuid) returns void language plpgsql set search_path = '' as $$
begin
  perform sigma.hold_line();
  update public.leads set unsubscribed_at = now(), line_key = null where id = lead and unsubscribed_at is null;
end;
$$;

-- Out of everything. What it earned for others stays theirs: a number, and no trace of whom it came from.
create function sigma.erase(lead uuid) returns void language plpgsql set search_path = '' as $$
begin
  perform sigma.hold_line();
  delete from public.leads where id = lead;
end;
$$;

-- Mails with a link. The job writes the mail, and with it the hash of its link.
create function sigma.send_link(lead uuid, for_what text) returns void language sql volatile set search_path = '' as $$
  with link as (insert into sigma.lead_links (lead_id, purpose) values (lead, for_what) returning id)
  select sigma.queue_job('waitlist:send_link', jsonb_build_object('link', id)) from link
$$;

-- To everybody who joins, by whichever door a visitor has: the form or the REST API. What the service puts in, an import
-- say, is its own affair. Of a statement with more than a hundred, which no form of ours sends, the rest is asked when it
-- joins again.
create function sigma.ask_to_confirm() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform sigma.send_link(id, 'confirm') from (select id from joined limit 100) as first_ones;
  return null;
end;
$$;

create trigger ask_to_confirm after insert on public.leads
  referencing new table as joined
  for each statement when (current_user in ('anon', 'authenticated')) execute function sigma.ask_to_confirm();

-- What a lead that joins again or asks for it is sent: who was invited the invitation, who confirmed the way to their
-- place, who did not, or left, the question to confirm. Null within ten minutes of the last, unless they left since; and
-- nobody is asked to confirm more than three times a day and five times in a month: anybody can type anybody's address.
create function sigma.due_again(lead public.leads) returns text language plpgsql stable set search_path = '' as $$
declare
  what text := case
    when lead.confirmed_at is null or lead.unsubscribed_at is not null then 'confirm'
    when lead.invited_at is not null and lead.signed_up_at is null then 'invite'
    else 'place'
  end;
  last timestamptz;
begin
  select max(created_at) into last from sigma.lead_links where lead_id = lead.id and purpose <> 'erase';
  if last > now() - interval '10 minutes' and last > coalesce(lead.unsubscribed_at, '-infinity') then
    return null;
  end if;
  if what = 'confirm' and (
    select count(*) filter (where created_at > now() - interval '1 day') >= 3 or count(*) >= 5
    from sigma.lead_links
    where lead_id = lead.id and purpose = 'confirm' and created_at > now() - interval '30 days'
  ) then
    return null;
  end if;
  return what;
end;
$$;

-- Sends it to each of these addresses that is on the list. One after the other, by the index: a join over all of them
-- reads the whole table. And looked at again under a lock, so that two who ask at once cause one mail.
create function sigma.send_again(emails text[]) returns void language plpgsql set search_path = '' as $$
declare
  address text;
  lead public.leads;
  what text;
begin
  for address in select distinct lower(given.email) from unnest(emails) as given (email) order by 1 loop
    select * into lead from public.leads where lower(email) = address;
    continue when lead.id is null or sigma.due_again(lead) is null;
    select * into lead from public.leads where id = lead.id for no key update;
    what := case when lead.id is not null then sigma.due_again(lead) end;
    continue when what is null;
    perform sigma.send_link(lead.id, what);
  end loop;
end;
$$;

-- The question whether to erase, not within ten minutes of the last.
create function sigma.ask_to_erase(lead uuid) returns void language plpgsql set search_path = '' as $$
begin
  perform from public.leads where id = lead for no key update;
  if not exists (select from sigma.lead_links
                 where lead_id = lead and purpose = 'erase' and created_at > now() - interval '10 minutes') then
    perform sigma.send_link(lead, 'erase');
  end if;
end;
$$;


-- The next in line, or this lead, is invited; null when there is nobody who may be. A lead whose invitation is over can
-- be given another one.
create function sigma.invite(lead uuid default null) returns uuid language plpgsql set search_path = '' as $$
declare
  invited uuid;
begin
  perform sigma.hold_line();
  update public.leads set invited_at = now(), reminded_at = null, line_key = null
    where id = coalesce(lead, (select id from public.leads where line_key is not null
                               order by line_key, line_number desc limit 1))
      and confirmed_at is not null and signed_up_at is null and unsubscribed_at is null
      and not exists (
        select from sigma.lead_links
        where lead_id = leads.id and purpose in ('invite', 'remind') and used_at is null
          and (expires_at is null or expires_at > now())
      )
    returning id into invited;
  if invited is not null then
    perform sigma.send_link(invited, 'invite');
  end if;
  return invited;
end;
$$;

-- One reminder to each lead that was invited so long ago and did nothing since; how many.
create function sigma.remind(after interval) returns bigint language sql volatile set search_path = '' as $$
  with due as (
    update public.leads set reminded_at = now()
      where invited_at < now() - after and reminded_at is null and signed_up_at is null and unsubscribed_at is null
      returning id
  ), sent as (select sigma.send_link(id, 'remind') from due)
  select count(*) from sent
$$;


-- What becomes of a lead elsewhere: signed up, when somebody has an account whose address is verified to be the lead's;
-- a customer, when that account gets access. What a profile says of its address is what its owner writes there, and what
-- an unverified account says is what anybody typed.
create function sigma.note_account(account uuid) returns void
language plpgsql security definer set search_path = '' as $$
declare
  verified text;
  pays boolean;
begin
  select lower(email) into verified from auth.users where id = account and email_confirmed_at is not null;
  pays := exists (select from public.profiles where id = account and has_access);
  if not exists (select from public.leads
                 where lower(email) = verified and (signed_up_at is null or (pays and customer_at is null))) then
    return;  -- neither a stranger's registration nor an edit of a profile waits for the line
  end if;
  perform sigma.hold_line();
  update public.leads
    set signed_up_at = coalesce(signed_up_at, now()), line_key = null,
      customer_at = case when pays then coalesce(customer_at, now()) else customer_at end
    where lower(email) = verified;
end;
$$;

create function sigma.note_account_change() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform sigma.note_account(new.id);
  return null;
end;
$$;

do $$
begin
  if has_table_privilege('auth.users', 'trigger') then  -- else it is noted when the account's profile changes
    create trigger note_account_change after insert or update of email_confirmed_at on auth.users
      for each row when (new.email_confirmed_at is not null) execute function sigma.note_account_change();
  end if;
end
$$;
create trigger note_account_change after insert or update on public.profiles
  for each row execute function sigma.note_account_change();

do $$
declare
  name regprocedure;
begin
  for name in
    select oid from pg_catalog.pg_proc
    where pronamespace = 'sigma'::regnamespace and proname in (
      'hold_line', 'hold_line_first', 'keep_line_blocks', 'place', 'waiting', 'mailbox_of', 'move_up', 'next_number',
      'confirm', 'new_share_code', 'unsubscribe', 'erase', 'invite', 'remind', 'send_link', 'ask_to_confirm', 'due_again',
      'send_again',
      'ask_to_erase', 'count_code_try', 'forget_code_tries', 'note_account', 'note_account_change'
    )
  loop
    execute format('revoke execute on function %s from public', name);
    execute format('grant execute on function %s to service_role', name);
  end loop;
end
$$;
