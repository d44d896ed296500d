-- Who comes, and what becomes of them: numbers of each day, by where people came from. Nothing here is anybody's: a visit
-- has no address, no cookie and no id, and what it says of a lead is the same few words that the lead keeps.

-- What is counted of a text that anybody may put into a link: in lower case, at most 64 characters, and "(other)" in the
-- place of what looks like a mail address; '' for nothing. The same for a visit and for the lead that comes of it.
create function sigma.growth_word(said text) returns text
language sql immutable parallel safe set search_path = '' as $$
  select case
    when said ~ '@|%40' then '(other)'
    when lower(said) in ('(none)', '(direct)', '(not set)') then ''  -- as other programs write nothing
    else coalesce(btrim(left(btrim(regexp_replace(lower(said), '\s+', ' ', 'g')), 64)), '')
  end
$$;

-- The host of the page that led here, without "www."; '' for none and for our own, "(other)" for a bare network address.
create function sigma.growth_host(referrer text, own_host text) returns text
language sql immutable parallel safe set search_path = '' as $$
  select case
    when host is null or host = own_host then ''
    when host ~ '^\[|^[0-9.]+$' then '(other)'
    else sigma.growth_word(host)
  end
  from (
    select regexp_replace(
      substring(lower(referrer) from '^[a-z][a-z0-9+.-]*://(?:[^/?#]*@)?(\[[^\]]*\]|[^/?#:]+)'), '^www\.', ''
    ) as host
  ) as found
$$;

-- The page where somebody came in; those that are for one person, whose address says for whom, are "(other)".
create function sigma.growth_page(path text) returns text
language sql immutable parallel safe set search_path = '' as $$
  select case when path ~ '^/[a-z-]{0,63}$' then path when path <> '' then '(other)' else '' end
$$;


-- Arrivals at the public pages, kept for five weeks.
create table sigma.visits (
  at timestamptz not null default now(),
  page text not null,
  source text not null,                   -- utm_source, and so on
  medium text not null,
  campaign text not null,
  referrer text not null,                 -- a host
  referral text not null                  -- "yes", or '': whether a friend's link led here
);
create index visits_at on sigma.visits (at);

-- The days that are over: what happened on each (UTC), all of it and by where people came from.
create table sigma.growth_days (
  day date not null,
  dimension text not null
    check (dimension in ('all', 'source', 'medium', 'campaign', 'referrer', 'referral', 'page')),
  value text not null,
  visits bigint not null default 0,
  joined bigint not null default 0,
  confirmed bigint not null default 0,
  invited bigint not null default 0,
  signed_up bigint not null default 0,
  paid bigint not null default 0,
  primary key (dimension, day, value)
);

-- Counts arrivals, given as a JSON array of what waitlist/service.py read of each.
create function sigma.note_visits(arrivals json, own_host text) returns void
language sql volatile set search_path = '' as $$
  insert into sigma.visits (page, source, medium, campaign, referrer, referral)
  select sigma.growth_page(landing_path), sigma.growth_word(utm_source), sigma.growth_word(utm_medium),
    sigma.growth_word(utm_campaign), sigma.growth_host(came.referrer, own_host),
    case when referral_code is null then '' else 'yes' end
  from json_to_recordset(arrivals) as came (
    landing_path text, utm_source text, utm_medium text, utm_campaign text, referrer text, referral_code text
  )
$$;

-- What happened from one day to another, both included, counted anew: by `wanted` dimensions, or by all where it is null.
-- Of a day's values of a dimension 200 are told apart, those with the most leads first, then with the most visits: visits
-- are easily made up, leads less so. The rest is "(other)".
create function sigma.growth(since date, until date, own_host text, wanted text[] default null)
returns table (
  day date, dimension text, value text, visits bigint, joined bigint, confirmed bigint, invited bigint,
  signed_up bigint, paid bigint
)
language sql stable set search_path = '' as $$
  with moments as (
    select since::timestamp at time zone 'UTC' as first, (until + 1)::timestamp at time zone 'UTC' as beyond
  ), steps as (
    select 'visits' as step, (at at time zone 'UTC')::date as day,
      page, source, medium, campaign, referrer, referral, count(*) as times
    from sigma.visits
    where at >= (select first from moments) and at < (select beyond from moments)
    group by 1, 2, 3, 4, 5, 6, 7, 8
    union all
    -- Each text is read once, however many leads brought it along
    select step, day, sigma.growth_page(landing_path), sigma.growth_word(utm_source), sigma.growth_word(utm_medium),
      sigma.growth_word(utm_campaign), sigma.growth_host(referrer, own_host), case when referred then 'yes' else '' end,
      times
    from (
      select step, (at at time zone 'UTC')::date as day, landing_path, utm_source, utm_medium, utm_campaign, referrer,
        referral_code is not null as referred, count(*) as times
      from (
        select 'joined' as step, created_at as at, landing_path, utm_source, utm_medium, utm_campaign, referrer,
          referral_code from public.leads
        union all
        select 'confirmed', confirmed_at, landing_path, utm_source, utm_medium, utm_campaign, referrer,
          referral_code from public.leads
        union all
        select 'invited', invited_at, landing_path, utm_source, utm_medium, utm_campaign, referrer,
          referral_code from public.leads
        union all
        select 'signed_up', signed_up_at, landing_path, utm_source, utm_medium, utm_campaign, referrer,
          referral_code from public.leads
        union all
        select 'paid', customer_at, landing_path, utm_source, utm_medium, utm_campaign, referrer,
          referral_code from public.leads
      ) as of_leads
      where at >= (select first from moments) and at < (select beyond from moments)
      group by 1, 2, 3, 4, 5, 6, 7, 8
    ) as raw
  ), counted as (
    select steps.day, told.dimension, told.value,
      coalesce(sum(times) filter (where step = 'visits'), 0) as visits,
      coalesce(sum(times) filter (where step = 'joined'), 0) as joined,
      coalesce(sum(times) filter (where step = 'confirmed'), 0) as confirmed,
      coalesce(sum(times) filter (where step = 'invited'), 0) as invited,
      coalesce(sum(times) filter (where step = 'signed_up'), 0) as signed_up,
      coalesce(sum(times) filter (where step = 'paid'), 0) as paid
    from steps cross join lateral (
      values ('all', ''), ('source', source), ('medium', medium), ('campaign', campaign), ('referrer', referrer),
        ('referral', referral), ('page', page)
    ) as told (dimension, value)
    where wanted is null or told.dimension = any (wanted)
    group by 1, 2, 3
  ), ranked as (
    select counted.*, row_number() over (
      partition by counted.day, counted.dimension
      order by counted.joined + counted.confirmed + counted.invited + counted.signed_up + counted.paid desc,
        counted.visits desc, counted.value
    ) as rank
    from counted
  )
  select ranked.day, ranked.dimension, case when rank <= 200 then ranked.value else '(other)' end,
    sum(ranked.visits)::bigint, sum(ranked.joined)::bigint, sum(ranked.confirmed)::bigint, sum(ranked.invited)::bigint,
    sum(ranked.signed_up)::bigint, sum(ranked.paid)::bigint
  from ranked
  group by 1, 2, 3
$$;

-- Keeps what happened on a day that is over, in the place of what was kept of it before. One day after the other, whoever
-- asks.
create function sigma.roll_up(closed date, own_host text) returns void
language sql volatile set search_path = '' as $$
  lock table sigma.growth_days in share row exclusive mode;
  delete from sigma.growth_days where day = closed;
  insert into sigma.growth_days select * from sigma.growth(closed, closed, own_host);
  insert into sigma.growth_days (day, dimension, value) values (closed, 'all', '') on conflict do nothing;
$$;


create trigger tell_console after insert on sigma.visits
  for each statement execute function sigma.tell_console('visits');

grant select, insert, delete on sigma.visits, sigma.growth_days to service_role;
grant select on sigma.visits, sigma.growth_days to sigma_operator;

do $$
declare
  seen regclass;
  name regprocedure;
begin
  foreach seen in array array['sigma.visits', 'sigma.growth_days']::regclass[] loop
    execute format('alter table %s enable row level security', seen);
    execute format(
      'create policy operators_read on %s for select to sigma_operator using ((select sigma.is_admin()))', seen
    );
  end loop;
  for name in
    select oid from pg_catalog.pg_proc
    where pronamespace = 'sigma'::regnamespace
      and proname in ('growth_word', 'growth_host', 'growth_page', 'note_visits', 'growth', 'roll_up')
  loop
    execute format('revoke execute on function %s from public', name);
    execute format('grant execute on function %s to service_role', name);
  end loop;
end
$$;
grant execute on function sigma.growth_word(text), sigma.growth_host(text, text), sigma.growth_page(text),
  sigma.growth(date, date, text, text[])
to sigma_operator;
