"""What an export leaves out because somebody else than Sigma made it: found, so that it can be named."""

from __future__ import annotations

import psycopg

# Sigma's triggers call functions of its own, most of them outside of public, so their names need not be known.
_LEFT_OUT = """
with ours (name) as (
  values ('stamp_consent'), ('founder_count'), ('guard_billing_columns'), ('update_updated_at'), ('handle_new_user'),
    ('has_access')
), kept (id) as (
  select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = relnamespace
  where (nspname, relname) in
    (('auth', 'users'), ('public', 'leads'), ('public', 'profiles'), ('storage', 'objects'), ('storage', 'buckets'))
), of_extensions (id) as (
  select objid from pg_catalog.pg_depend where deptype = 'e'
)
select 1, case relkind when 'v' then 'view ' when 'm' then 'materialized view ' when 'c' then 'type ' else 'table ' end
  || 'public.' || quote_ident(relname) as name
from pg_catalog.pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'f', 'v', 'm', 'c')
  and oid not in (select id from kept) and oid not in (select id from of_extensions)
union all
select 2, 'type public.' || quote_ident(typname) from pg_catalog.pg_type
where typnamespace = 'public'::regnamespace and typtype in ('e', 'd', 'r') and oid not in (select id from of_extensions)
union all
select 3, 'function public.' || quote_ident(proname) || '(' || pg_get_function_identity_arguments(oid) || ')'
from pg_catalog.pg_proc
where pronamespace = 'public'::regnamespace and oid not in (select id from of_extensions)
  and not (pronargs = 0 and proname in (select name from ours))
union all
select 4, 'trigger ' || quote_ident(tgname) || ' on ' || tgrelid::regclass
from pg_catalog.pg_trigger
join pg_catalog.pg_proc p on p.oid = tgfoid
where tgrelid in (select id from kept) and not tgisinternal
  and pronamespace not in (select oid from pg_catalog.pg_namespace where nspname in ('sigma', 'auth', 'storage'))
  and not (pronamespace = 'public'::regnamespace and pronargs = 0 and proname in (select name from ours))
union all
select 5, 'policy ' || quote_ident(polname) || ' on ' || polrelid::regclass
from pg_catalog.pg_policy
where polrelid in (select id from kept) and polname not in (
  'auth_itself', 'operators_read', 'insert_lead', 'read_own_pictures', 'add_own_pictures', 'remove_own_pictures',
  'read_own_profile_data', 'insert_own_profile_data', 'update_own_profile_data', 'delete_own_profile_data'
)
order by 1, 2
"""


def left_out(connection: psycopg.Connection) -> list[str]:
    """What stays behind: others' tables, views, types and functions in public, and triggers and policies on our own.

    Each is its kind and its name as SQL writes it, such as "table public.notes". Triggers and policies of a table that
    stays behind go with it, and are not named.
    """
    return [name for _, name in connection.execute(_LEFT_OUT)]
