-- What is kept of each mail to a person: the cause, to whom, and what became of it when. Its words are the job's, and the
-- provider's. The state follows from the times, since a provider tells of them in any order.
create table sigma.messages (
  id uuid primary key default gen_random_uuid(),
  key text not null unique,               -- names the cause: the idempotency key (sigma_app/features/mail/service.py)
  kind text not null,                     -- what it says, such as "signup"
  recipient text not null,
  digest bytea not null check (octet_length(digest) = 32),  -- SHA-256 of the lower-case address
  provider_id text,
  tries integer not null default 1,
  note text,                              -- why it is not where it should be, without an address
  queued_at timestamptz not null default clock_timestamp(),
  sent_at timestamptz,                    -- the provider took it
  delayed_at timestamptz,                 -- it could not be handed over, or not be delivered yet, and is tried again
  refused_at timestamptz,                 -- the provider will never take it
  withheld_at timestamptz,                -- the address gets no mail
  delivered_at timestamptz,
  bounced_at timestamptz,
  complained_at timestamptz,
  state text not null generated always as (
    case
      when complained_at is not null then 'complained'
      when bounced_at is not null then 'bounced'
      when delivered_at is not null then 'delivered'
      when refused_at >= coalesce(sent_at, '-infinity') then 'refused'
      when withheld_at >= coalesce(sent_at, '-infinity') then 'withheld'
      when delayed_at >= coalesce(sent_at, '-infinity') then 'delayed'
      when sent_at is not null then 'sent'
      else 'queued'
    end
  ) stored
);
create index messages_newest on sigma.messages (queued_at desc, id desc);
create index messages_newest_by_state on sigma.messages (state, queued_at desc, id desc);
create index messages_recipient on sigma.messages (lower(recipient) text_pattern_ops);
create index messages_digest on sigma.messages (digest);
create index messages_provider_id on sigma.messages (provider_id);
grant select, insert, update, delete on sigma.messages to service_role;

-- What Resend has told of a mail, by its own id of the mail (https://resend.com/docs/webhooks/event-types). Asked when it is
-- told, and once more when the mail is noted as sent: it may be told before that.
create index webhook_events_of_mail on sigma.webhook_events ((body #>> '{data,email_id}')) where source = 'resend';
create function sigma.note_told(provider text) returns void
language sql volatile set search_path = '' as $$
  update sigma.messages as message
    set delivered_at = coalesce(message.delivered_at, told.delivered),
      bounced_at = coalesce(message.bounced_at, told.bounced),
      complained_at = coalesce(message.complained_at, told.complained),
      refused_at = greatest(message.refused_at, told.refused),
      withheld_at = greatest(message.withheld_at, told.withheld),
      delayed_at = greatest(message.delayed_at, told.delayed),
      note = coalesce(regexp_replace(left(told.note, 200), '\S+@\S+', '[address]', 'g'), message.note)
  from (
    select min(at) filter (where type = 'email.delivered') as delivered,
      min(at) filter (where type = 'email.bounced') as bounced,
      min(at) filter (where type = 'email.complained') as complained,
      max(at) filter (where type = 'email.failed') as refused,
      max(at) filter (where type = 'email.suppressed') as withheld,
      max(at) filter (where type = 'email.delivery_delayed') as delayed,
      max(coalesce(
        nullif(concat_ws(', ', body #>> '{data,bounce,type}', body #>> '{data,bounce,subType}'), ''),
        body #>> '{data,failed,reason}',
        case when type = 'email.suppressed' then 'on Resend''s own list' end
      )) as note
    from sigma.messages as known
      join sigma.webhook_events on source = 'resend' and body #>> '{data,email_id}' = known.provider_id
      cross join lateral (select greatest(received_at, known.sent_at) as at) as after_sending
    where known.provider_id = provider
  ) as told
  where message.provider_id = provider
$$;
revoke execute on function sigma.note_told(text) from public;
grant execute on function sigma.note_told(text) to service_role;

create index webhook_events_newest on sigma.webhook_events (received_at desc, source desc, id desc);

grant select on sigma.messages to sigma_operator;
alter table sigma.messages enable row level security;
create policy operators_read on sigma.messages for select to sigma_operator using ((select sigma.is_admin()));


-- The condition of sigma.accounts is asked once, before any row is read, so it needs no barrier; with one, neither an order
-- nor the beginning of an address reaches an index.
alter view sigma.accounts reset (security_barrier);

-- A function of its own: to drop it takes the trigger along, which who does not own auth.users could not do.
create function sigma.tell_console_of_account() returns trigger language plpgsql set search_path = '' as $$
begin
  perform pg_notify('sigma_console', 'users');
  return null;
end;
$$;
revoke execute on function sigma.tell_console_of_account() from public;

-- Whether a list of accounts is fast is a matter of indexes on auth.users, which are ours to make where the table is.
do $$
begin
  if obj_description(to_regnamespace('auth'), 'pg_namespace') like 'Laid by Sigma%' then
    create index users_newest on auth.users (created_at desc, id desc);
    create index users_email_prefix on auth.users (lower(email) text_pattern_ops);
  end if;
  if has_table_privilege('auth.users', 'trigger') then
    create trigger tell_console after insert or delete or update of email, email_confirmed_at, banned_until, raw_app_meta_data
      on auth.users for each statement execute function sigma.tell_console_of_account();
  end if;
end
$$;

-- Where the accounts are in a project elsewhere, this database learns here whom it keeps out.
create function sigma.note_disabled(account uuid, until timestamptz) returns void
language sql volatile security definer set search_path = '' as $$
  update auth.users set banned_until = until
    where id = account and raw_app_meta_data ->> 'lives_elsewhere' = 'true'
$$;
revoke execute on function sigma.note_disabled(uuid, timestamptz) from public;
grant execute on function sigma.note_disabled(uuid, timestamptz) to service_role;

create trigger tell_console after insert or delete on sigma.sessions
  for each statement execute function sigma.tell_console('users');
create trigger tell_console after insert or update or delete on sigma.messages
  for each statement execute function sigma.tell_console('mail');
create trigger tell_console after insert or update or delete on sigma.suppressions
  for each statement execute function sigma.tell_console('mail');
