-- A table and functions for the cases of tables.test.js, for the service alone.
create table public.things (
  id uuid primary key default gen_random_uuid(),
  "set" uuid not null,
  name text not null,
  kind text not null default 'plain',
  size integer,
  tags text[] not null default '{}',
  about jsonb,
  unique ("set", name)
);
alter table public.things enable row level security;
grant all on public.things to service_role;

create function public.add_up(a integer, b integer) returns integer language sql immutable as $$ select a + b $$;
create function public.up_to(most integer) returns table (n integer) language sql immutable as $$
  select generate_series(1, most)
$$;

notify pgrst, 'reload schema';
