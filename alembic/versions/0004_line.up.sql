-- What happens to a lead after it joined. Everything in `sigma` is the service's: requests reach it as service_role, the
-- triggers as the owner.

-- Links in mails. The database knows a link by its hash only: whoever reads this table can open none of them.
create table sigma.lead_links (
  id uuid primary key default gen_random_uuid(),
  lead_id uuid not null references public.leads on delete cascade,
  purpose text not null check (purpose in ('confirm', 'place', 'invite', 'erase')),
  digest bytea unique,                    -- SHA-256 of the token; null until the mail that holds it is written
  code_digest bytea,                      -- of the six digits that do the same, under a key that is not in the database
  tries smallint not null default 0,      -- how often a wrong code was typed
  created_at timestamptz not null default now(),
  expires_at timestamptz,                 -- null: never
  used_at timestamptz
);
create index lead_links_lead on sigma.lead_links (lead_id, purpose, created_at desc);

-- Who agreed to which words, when, and where: a row for each time, none is ever changed.
create table sigma.consents (
  id bigint primary key generated always as identity,
  lead_id uuid not null references public.leads on delete cascade,
  version text not null,
  wording text not null,
  source text not null,                   -- such as "form hero" or "confirmation"
  given_at timestamptz not null default now()
);
create index consents_lead on sigma.consents (lead_id);

-- How many wait in each stretch of 1024 keys, so that a place is told by adding up a thousand numbers, not a million rows.
create table sigma.line_blocks (
  block bigint primary key,
  waiting bigint not null
);

grant select, insert, update, delete on sigma.lead_links, sigma.consents to service_role;
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
create trigger line_blocks_truncate after truncate on public.leads
  for each statement execute function sigma.keep_line_blocks();

-- The place of a lead: 1 for the next to be invited; null for one that does not wait.
-- Keys are in order of confirmation, less what referrals earned. Of two with the same key the one who confirmed later
-- stands in front: it took its friends to get there.
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

-- Puts a lead in line. The first time it gets the number after the last one, and whoever brought it moves up by `places`,
-- unless the two share a mailbox, or the mailbox is in line already: that earns nothing, and is marked for the operator.
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
  if joined.confirmed_at is null then
    box := sigma.mailbox_of(joined.email);
    select * into referrer from public.leads
      where share_code = lower(joined.referral_code) and confirmed_at is not null and id <> lead;
    reason := case
      when referrer.mailbox = box then 'referred by the same mailbox'
      when exists (select from public.leads where mailbox = box and id <> lead) then 'same mailbox as another lead'
    end;
    update public.leads set confirmed_at = now(), mailbox = box, flag = reason, share_code = sigma.new_share_code()
      where id = lead;
    if referrer.id is not null and reason is null then
      update public.leads set referrals = referrals + 1, line_key = line_key - places where id = referrer.id;
    end if;
  end if;
  update public.leads
    set unsubscribed_at = null,
      line_number = following.number,
      line_key = case when invited_at is null then following.number - places * referrals end
    from (select coalesce(max(line_number), 0) + 1 as number from public.leads) as following
    where id = lead;
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

-- The next in line, or this lead, is invited; null when there is nobody who may be.
create function sigma.invite(lead uuid default null) returns uuid language plpgsql set search_path = '' as $$
declare
  invited uuid;
begin
  perform sigma.hold_line();
  update public.leads set invited_at = now(), line_key = null
    where id = coalesce(lead, (select id from public.leads where line_key is not null
                               order by line_key, line_number desc limit 1))
      and line_key is not null
    returning id into invited;
  if invited is not null then
    perform sigma.send_link(invited, 'invite');
  end if;
  return invited;
end;
$$;


-- Mails with a link. The job writes the mail, and with it the hash of its link.
create function sigma.send_link(lead uuid, for_what text) returns void language sql volatile set search_path = '' as $$
  with link as (
    insert into sigma.lead_links (lead_id, purpose, expires_at)
    values (lead, for_what, now() + case for_what
      when 'confirm' then interval '3 days' when 'erase' then interval '1 day' when 'invite' then interval '30 days' end)
    returning id
  )
  select sigma.queue_job('waitlist:send_link', jsonb_build_object('link', id)) from link
$$;

-- To everybody who joins, by whichever door a visitor has: the form or the REST API. What the service puts in, an import
-- say, is its own affair.
create function sigma.ask_to_confirm() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform sigma.send_link(id, 'confirm') from joined;
  return null;
end;
$$;

create trigger ask_to_confirm after insert on public.leads
  referencing new table as joined
  for each statement when (current_user in ('anon', 'authenticated')) execute function sigma.ask_to_confirm();

-- To those who join again: the same link as last time, anew, unless it went out in the last ten minutes.
-- Whoever confirmed gets the way to their place, whoever did not, or left, is asked to confirm.
create function sigma.send_again(emails text[]) returns void language sql volatile set search_path = '' as $$
  select sigma.send_link(id, case when confirmed_at is null or unsubscribed_at is not null then 'confirm' else 'place' end)
  from unnest(emails) as known (email) join public.leads as lead on lower(lead.email) = lower(known.email)
  where coalesce((  -- the planner makes no join of a maximum, and a join here reads the whole table
    select max(created_at) from sigma.lead_links where lead_id = lead.id and purpose in ('confirm', 'place')
  ), '-infinity') < now() - interval '10 minutes'
$$;


-- What becomes of a lead elsewhere: signed up, when its address gets a profile; a customer, when that gets access.
-- The address is the one that was verified, of auth.users: the one in a profile is whatever its owner writes there.
create function sigma.note_sign_up() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform sigma.hold_line();
  update public.leads
    set signed_up_at = coalesce(signed_up_at, now()), line_key = null,
      customer_at = case when new.has_access then coalesce(customer_at, now()) else customer_at end
    from auth.users as person
    where person.id = new.id and lower(leads.email) = lower(person.email);
  return null;
end;
$$;

create trigger note_sign_up after insert on public.profiles for each row execute function sigma.note_sign_up();
create trigger note_customer after update of has_access on public.profiles
  for each row when (new.has_access and old.has_access is not true) execute function sigma.note_sign_up();

do $$
declare
  name regprocedure;
begin
  for name in
    select oid from pg_catalog.pg_proc
    where pronamespace = 'sigma'::regnamespace and proname in (
      'hold_line', 'keep_line_blocks', 'place', 'waiting', 'mailbox_of', 'confirm', 'new_share_code', 'unsubscribe', 'erase',
      'invite', 'send_link', 'ask_to_confirm', 'send_again', 'note_sign_up'
    )
  loop
    execute format('revoke execute on function %s from public', name);
    execute format('grant execute on function %s to service_role', name);
  end loop;
end
$$;
