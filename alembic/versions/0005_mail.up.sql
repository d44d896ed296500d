-- Tables of the service alone, in the schema that is not served over REST.

-- Mails that were taken by the stand-in for Resend rather than sent.
create table sigma.mailbox (
  id uuid primary key default gen_random_uuid(),
  idempotency_key text unique,
  fingerprint bytea not null, -- SHA-256 of the request: the same key with another one is a mistake
  sender text not null,
  recipients text[] not null,
  subject text not null,
  html text,
  body text, -- its plain text
  headers jsonb not null default '{}',
  created_at timestamptz not null default clock_timestamp()
);
create index mailbox_created_at on sigma.mailbox (created_at desc);

-- Who gets no mail, because it came back or they called it spam. The address itself is not kept.
create table sigma.suppressions (
  digest bytea primary key check (octet_length(digest) = 32), -- SHA-256 of the lower-case address
  reason text not null,
  suppressed_at timestamptz not null default now()
);

-- What providers told us, each event once however often they tell it.
create table sigma.webhook_events (
  source text not null,
  id text not null,
  type text not null,
  body jsonb not null,
  received_at timestamptz not null default now(),
  handled_at timestamptz,
  primary key (source, id)
);

grant select, insert, update, delete on sigma.mailbox, sigma.suppressions, sigma.webhook_events to service_role;
