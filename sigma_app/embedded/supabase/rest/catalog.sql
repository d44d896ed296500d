-- What schema `public` has, as one JSON document; catalog.py has its shape. With an empty search_path, so that every
-- name outside of pg_catalog comes out with its schema.
with recursive bases as (  -- each type, and what it is below its domains
  select oid as type, oid as base, typbasetype as next from pg_type
  union all
  select bases.type, t.oid, t.typbasetype from bases join pg_type as t on t.oid = bases.next
),
base_types as (select type, base from bases where next = 0),
columns as (
  select
    a.attrelid as relation,
    json_agg(json_build_object(
      'name', a.attname,
      -- As the columns of a JSON record: without a length, which would cut or pad what the table itself should refuse.
      'type', case
        when b.base = 'pg_catalog.bpchar'::regtype then 'bpchar'
        when b.base = 'pg_catalog.bit'::regtype then 'varbit'
        when base.typnamespace = 'pg_catalog'::regnamespace then format_type(b.base, null)
        else format_type(a.atttypid, null)
      end,
      'shown_type', case
        when base.typnamespace = 'pg_catalog'::regnamespace then format_type(b.base, null)
        else format_type(a.atttypid, null)
      end,
      'default', case
        when a.attgenerated <> '' or a.attidentity = 'a' then null
        when a.attidentity = 'd' then (
          select format('nextval(%L)', objid::regclass) from pg_depend
          where refobjid = a.attrelid and refobjsubid = a.attnum and deptype = 'i' and classid = 'pg_class'::regclass
        )
        else coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(t.typdefaultbin, 0))
      end,
      'nullable', not (a.attnotnull or t.typtype = 'd' and t.typnotnull),
      'description', col_description(a.attrelid, a.attnum),
      'choices', (select json_agg(enumlabel order by enumsortorder) from pg_enum where enumtypid = b.base),
      'longest', information_schema._pg_char_max_length(
        information_schema._pg_truetypid(a.*, t.*), information_schema._pg_truetypmod(a.*, t.*)
      )
    ) order by a.attnum) as list
  from pg_attribute as a
  join pg_class as c on c.oid = a.attrelid and c.relnamespace = 'public'::regnamespace
  join pg_type as t on t.oid = a.atttypid
  join base_types as b on b.type = a.atttypid
  join pg_type as base on base.oid = b.base
  left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attnum > 0 and not a.attisdropped
  group by a.attrelid
),
computed as (  -- functions of a row, which are written like columns of it
  select t.typrelid as relation, json_agg(distinct p.proname) as list
  from pg_proc as p join pg_type as t on t.oid = p.proargtypes[0]
  where p.pronargs = 1 and p.prokind = 'f' and not p.proretset and t.typrelid <> 0
    and p.pronamespace = 'public'::regnamespace
  group by t.typrelid
),
origins as (  -- which column of what a column of a view is, as Postgres notes it in the view's rule
  select r.ev_class as relation, a.attnum as number, found[3]::oid as origin, found[4]::smallint as origin_number
  from pg_rewrite as r
  join pg_class as c on c.oid = r.ev_class and c.relkind in ('v', 'm')
    and c.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  cross join regexp_matches(
    r.ev_action::text,
    ':resno (\d+) :resname ((?:\\.|[^ \\])+) :ressortgroupref \d+ :resorigtbl ([1-9]\d*) :resorigcol (\d+)', 'g'
  ) as _ (found)
  join pg_attribute as a on a.attrelid = r.ev_class and a.attnum = found[1]::integer
    and a.attname = regexp_replace(found[2], '\\(.)', '\1', 'g')  -- else of a query inside of the view's
),
key_columns as (  -- of primary keys, and of views that show them
  select k.conrelid as relation, k.oid as key, number as part, number, cardinality(k.conkey) as parts
  from pg_constraint as k cross join unnest(k.conkey) as number where k.contype = 'p'
  union
  select origins.relation, key_columns.key, key_columns.part, origins.number, key_columns.parts
  from key_columns join origins on origins.origin = key_columns.relation and origins.origin_number = key_columns.number
),
keys as (  -- whole ones; a view that shows a part of one twice is known by the first
  select relation, json_agg(distinct attname order by attname) as list
  from (
    select relation, parts, min(number) as number, count(*) over (partition by relation, key) as shown
    from key_columns group by relation, key, part, parts
  ) as shown_part
  join pg_attribute as a on a.attrelid = relation and a.attnum = number
  where shown = parts
  group by relation
),
tables as (
  select json_agg(json_build_object(
    'name', c.relname,
    'description', obj_description(c.oid, 'pg_class'),
    'insertable', c.relkind in ('r', 'p') or pg_relation_is_updatable(c.oid, true) & 8 = 8,
    'updatable', c.relkind in ('r', 'p') or pg_relation_is_updatable(c.oid, true) & 4 = 4,
    'deletable', c.relkind in ('r', 'p') or pg_relation_is_updatable(c.oid, true) & 16 = 16,
    'keys', coalesce(keys.list, '[]'),
    'columns', coalesce(columns.list, '[]'),
    'computed', coalesce(computed.list, '[]')
  ) order by c.relname) as list
  from pg_class as c
  left join columns on columns.relation = c.oid
  left join computed on computed.relation = c.oid
  left join keys on keys.relation = c.oid
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
),
parameters as (
  select
    p.oid as function,
    json_agg(json_build_object(
      'name', coalesce(name, ''),
      'type', format_type(type, null),
      'bound_type', case type  -- without a length again
        when 'pg_catalog.bit'::regtype then 'varbit'
        when 'pg_catalog.bit[]'::regtype then 'varbit[]'
        when 'pg_catalog.bpchar'::regtype then 'bpchar'
        when 'pg_catalog.bpchar[]'::regtype then 'bpchar[]'
        else format_type(type, null)
      end,
      'required', number <= pronargs - pronargdefaults,
      'variadic', coalesce(mode = 'v', false)
    ) order by number) as list,
    case count(*) filter (where coalesce(name, '') = '')
      when 0 then true
      when 1 then count(*) = 1
        and (array_agg(format_type(type, null)))[1] = any (array['bytea', 'json', 'jsonb', 'text', 'xml'])
      else false
    end as callable
  from pg_proc as p
  cross join unnest(proargnames, proargtypes, proargmodes) with ordinality as _ (name, type, mode, number)
  where type is not null and p.pronamespace = 'public'::regnamespace
  group by p.oid
),
functions as (
  select json_agg(json_build_object(
    'name', p.proname,
    'description', obj_description(p.oid, 'pg_proc'),
    'parameters', coalesce(parameters.list, '[]'),
    'many', p.proretset,
    'composite', t.typtype = 'c' or coalesce(p.proargmodes::text[] && '{t,b,o}', false),
    'void', t.oid = 'pg_catalog.void'::regtype,
    'volatile', p.provolatile = 'v',
    'row', case when t.typtype = 'c' then (select relname from pg_class where oid = t.typrelid) end,
    'columns', case
      when t.typtype = 'c' then (
        select json_agg(attname order by attnum) from pg_attribute
        where attrelid = t.typrelid and attnum > 0 and not attisdropped
      )
      else (
        select json_agg(name order by number)
        from unnest(p.proargnames, p.proargmodes) with ordinality as _ (name, mode, number)
        where mode in ('t', 'b', 'o')
      )
    end
  ) order by p.proname, p.pronargs, p.oid) as list
  from pg_proc as p
  left join parameters on parameters.function = p.oid
  join base_types as b on b.type = p.prorettype
  join pg_type as t on t.oid = b.base
  where p.pronamespace = 'public'::regnamespace and p.prokind = 'f' and coalesce(parameters.callable, true)
    and t.oid not in ('pg_catalog.trigger'::regtype, 'pg_catalog.event_trigger'::regtype)
),
types as (
  select json_object_agg(name, written) as map
  from (
    select distinct on (name) name, written
    from (
      select typname as name, format_type(oid, null) as written, typnamespace <> 'pg_catalog'::regnamespace as ours
      from pg_type where typtype <> 'p' and typnamespace in ('pg_catalog'::regnamespace, 'public'::regnamespace)
      union all
      select format_type(oid, null), format_type(oid, null), false
      from pg_type where typtype <> 'p' and typnamespace = 'pg_catalog'::regnamespace
    ) as either
    order by name, ours
  ) as one_each
)
select json_build_object(
  'tables', coalesce(tables.list, '[]'), 'functions', coalesce(functions.list, '[]'), 'types', types.map,
  'description', obj_description('public'::regnamespace, 'pg_namespace')
)
from tables, functions, types
