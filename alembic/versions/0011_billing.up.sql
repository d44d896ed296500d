-- What Stripe sells and has sold, each row as it was last read there. A schema of its own, which is not served over REST:
-- those who pay read their own rows, which `sigma` is closed to.
create schema billing;

-- The catalogue. Archived prices stay: somebody may have bought at one.
create table billing.products (
  id text primary key,                     -- Stripe's, as every id here
  name text not null,
  description text not null default '',
  active boolean not null,
  read_at timestamptz not null default now()
);
create table billing.prices (
  id text primary key,
  product_id text not null references billing.products on delete cascade,
  lookup_key text,                         -- which plan it is the price of now
  active boolean not null,
  currency text not null,
  amount bigint not null,                  -- in the currency's smallest unit
  every text check (every in ('day', 'week', 'month', 'year')), -- null: paid once
  every_count integer not null default 1,
  read_at timestamptz not null default now()
);
create index prices_product on billing.prices (product_id);
create unique index prices_lookup_key on billing.prices (lookup_key);

-- Whose customer somebody is. One that was deleted at Stripe stays, with what was bought as it; a user has one other.
create table billing.customers (
  id text primary key,
  user_id uuid not null references auth.users on delete cascade,
  created_at timestamptz not null default now(),
  deleted_at timestamptz
);
create unique index customers_user on billing.customers (user_id) where deleted_at is null;
create index customers_all_of_user on billing.customers (user_id);

-- Checkouts that we opened: so that a second click finds the first one's, and nobody pays two subscriptions at once.
create table billing.checkouts (
  id text primary key,
  customer_id text not null references billing.customers on delete cascade,
  price_id text not null,
  mode text not null check (mode in ('payment', 'subscription')),
  status text not null check (status in ('open', 'complete', 'expired')),
  created_at timestamptz not null,
  expires_at timestamptz not null
);
create index checkouts_open on billing.checkouts (customer_id) where status = 'open';

-- What was bought once. The id is the checkout's: a free one has no payment.
create table billing.purchases (
  id text primary key,
  customer_id text not null references billing.customers on delete cascade,
  price_id text not null,
  payment_intent text,
  status text not null check (status in ('processing', 'paid', 'failed', 'gone')), -- gone: Stripe knows it no more
  amount bigint not null,                  -- with tax and discounts, in the currency's smallest unit
  refunded bigint not null default 0,
  currency text not null,
  dispute text check (dispute in ('open', 'won', 'lost')),
  created_at timestamptz not null,
  read_at timestamptz not null default now()
);
create index purchases_customer on billing.purchases (customer_id);
create index purchases_payment_intent on billing.purchases (payment_intent);

create table billing.subscriptions (
  id text primary key,
  customer_id text not null references billing.customers on delete cascade,
  price_id text not null,
  status text not null,                    -- Stripe's word, or 'gone'
  current_period_end timestamptz not null,
  cancel_at timestamptz,                   -- when it ends, if it was canceled and has not ended yet
  trial_end timestamptz,
  past_due_since timestamptz,              -- of its oldest invoice that is not paid, while it is past due
  paid_once boolean not null default true, -- false: its very first payment came back
  ended_at timestamptz,
  end_reason text,                         -- Stripe's word
  created_at timestamptz not null,
  read_at timestamptz not null default now()
);
create index subscriptions_customer on billing.subscriptions (customer_id);

-- Every change of somebody's access, or of why they have it.
create table billing.access_changes (
  id bigint primary key generated always as identity,
  user_id uuid not null references auth.users on delete cascade,
  before boolean not null,
  after boolean not null,
  rule text not null,                      -- sigma_app/features/billing/access.py has each, and its words
  price_id text,
  subject text,                            -- the purchase or the subscription that decides
  cause text not null,                     -- the event's type, or what else made us look
  event_id text,                           -- Stripe's, if it was one
  at timestamptz not null default clock_timestamp()
);
create index access_changes_user on billing.access_changes (user_id, id desc);

-- Events are worked in order per customer, and one that cannot be is kept with the reason.
alter table sigma.webhook_events
  add column customer text,
  add column created_at timestamptz,       -- by the sender's clock
  add column tries integer not null default 0,
  add column error text;
create index webhook_events_waiting on sigma.webhook_events (source, customer) where handled_at is null;

grant select, insert, update, delete on
  billing.products, billing.prices, billing.customers, billing.checkouts, billing.purchases, billing.subscriptions
to service_role;
grant select, insert on billing.access_changes to service_role;

-- Nobody but the service writes any of it. The portal reads as whoever is signed in, and sees what is theirs; prices are
-- there for all to see.
grant usage on schema billing to anon, authenticated, service_role;
grant select on billing.products, billing.prices to anon, authenticated;
grant select on billing.customers, billing.purchases, billing.subscriptions, billing.access_changes to authenticated;

alter table billing.products enable row level security;
alter table billing.prices enable row level security;
alter table billing.customers enable row level security;
alter table billing.checkouts enable row level security;
alter table billing.purchases enable row level security;
alter table billing.subscriptions enable row level security;
alter table billing.access_changes enable row level security;

create policy read_products on billing.products for select to anon, authenticated using (true);
create policy read_prices on billing.prices for select to anon, authenticated using (true);
create policy read_own_customers on billing.customers for select to authenticated
  using ((select auth.uid()) = user_id);
create policy read_own_purchases on billing.purchases for select to authenticated
  using (customer_id in (select id from billing.customers where user_id = (select auth.uid())));
create policy read_own_subscriptions on billing.subscriptions for select to authenticated
  using (customer_id in (select id from billing.customers where user_id = (select auth.uid())));
create policy read_own_access_changes on billing.access_changes for select to authenticated
  using ((select auth.uid()) = user_id);
