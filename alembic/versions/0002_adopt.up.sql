-- Make tables that were there before Sigma equal to those it lays, and keep every row as it is.
--
-- sigma.leads and sigma.profiles exist here only where public has such a table already. They are the pattern, empty and
-- just made: what Postgres says of them is compared with what it says of the table found, and the difference is made up.
-- Columns, constraints and indexes that Sigma does not know stay.

do $$
declare
  foreign_one record;
begin
  for foreign_one in
    select 'table' as kind, relname::text as name, pg_get_userbyid(relowner) as owner
      from pg_catalog.pg_class
      where oid in (to_regclass('public.leads'), to_regclass('public.profiles')) and not pg_has_role(relowner, 'usage')
    union all
    select 'function', proname || '()', pg_get_userbyid(proowner)
      from pg_catalog.pg_proc
      where pronamespace = 'public'::regnamespace and pronargs = 0 and not pg_has_role(proowner, 'usage')
        and proname in ('stamp_consent', 'founder_count', 'guard_billing_columns', 'update_updated_at', 'handle_new_user')
  loop
    raise exception 'the % public.% belongs to %, and % may not replace it',
      foreign_one.kind, foreign_one.name, foreign_one.owner, current_user
      using errcode = 'insufficient_privilege',
            hint = format('Have an administrator run: alter %s public.%s owner to %I.',
                          foreign_one.kind, foreign_one.name, current_user);
  end loop;
end
$$;

do $$
declare
  name text;
  place text;       -- the table found, as it is written
  ours regclass;    -- the pattern
  theirs regclass;  -- the table found
  wanted record;
  found record;
  settled boolean;
  query text;
  rows bigint;
  problems text[] := '{}';
begin
  foreach name in array array['leads', 'profiles'] loop
    ours := to_regclass('sigma.' || name);
    continue when ours is null;
    place := 'public.' || name;
    theirs := to_regclass(place);
    if (select relkind from pg_catalog.pg_class where oid = theirs) <> 'r' then
      raise exception '% is there already, and it is no table', place
        using errcode = 'wrong_object_type', hint = 'Rename it or drop it.';
    end if;
    execute format('lock table %s in access exclusive mode', place);
    execute format('alter table %s no force row level security', place);  -- or it would hide rows from the counts below
    insert into sigma.adopted values (name);

    -- Columns.
    for wanted in
      select a.attname as col, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as required,
        pg_get_expr(d.adbin, d.adrelid) as standard,
        f.attname is not null as exists, format_type(f.atttypid, f.atttypmod) as found_type,
        pg_get_expr(fd.adbin, fd.adrelid) as found_standard
      from pg_catalog.pg_attribute as a
        left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        left join pg_catalog.pg_attribute as f on f.attrelid = theirs and f.attname = a.attname and not f.attisdropped
        left join pg_catalog.pg_attrdef as fd on fd.adrelid = f.attrelid and fd.adnum = f.attnum
      where a.attrelid = ours and a.attnum > 0
      order by a.attnum
    loop
      if not wanted.exists then
        execute format('alter table %s add column %I %s %s %s', place, wanted.col, wanted.type,
                       'default ' || wanted.standard, case when wanted.required then 'not null' end);
      elsif wanted.type <> wanted.found_type then
        raise exception '%.% is of type %, and Sigma needs %', place, wanted.col, wanted.found_type, wanted.type
          using errcode = 'datatype_mismatch',
                hint = format('Back up, then run: alter table %s alter column %I type %s.', place, wanted.col, wanted.type);
      elsif wanted.standard is distinct from wanted.found_standard then
        execute format('alter table %s alter column %I %s', place, wanted.col,
                       coalesce('set default ' || wanted.standard, 'drop default'));
      end if;
    end loop;

    -- Constraints: the primary key, the foreign key by its columns, checks by their name.
    -- None is added NOT VALID. It would leave the old rows unchecked, and then fail whatever later changes one of them
    -- for another reason, such as the invitation of a lead. So rows that do not fit stop the migration, here, where
    -- somebody looks.
    for wanted in
      select conname, contype, pg_get_constraintdef(oid) as definition, pg_get_expr(conbin, conrelid) as expression,
        confrelid::regclass as elsewhere,
        (select attname from pg_catalog.pg_attribute where attrelid = conrelid and attnum = conkey[1]) as col,
        (select attname from pg_catalog.pg_attribute where attrelid = confrelid and attnum = confkey[1]) as elsewhere_col
      from pg_catalog.pg_constraint
      where conrelid = ours and contype in ('p', 'f', 'c')
      order by contype desc, conname
    loop
      settled := false;
      for found in
        select conname, pg_get_constraintdef(oid) as definition
        from pg_catalog.pg_constraint
        where conrelid = theirs and (
          conname = wanted.conname
          or contype = 'p' and wanted.contype = 'p'
          or contype = 'f' and wanted.contype = 'f' and array_length(conkey, 1) = 1 and wanted.col =
            (select attname from pg_catalog.pg_attribute where attrelid = theirs and attnum = conkey[1])
        )
        order by conname <> wanted.conname
      loop
        if found.definition = wanted.definition and not settled then
          settled := true;
          if found.conname <> wanted.conname then
            execute format('alter table %s rename constraint %I to %I', place, found.conname, wanted.conname);
          end if;
        else
          execute format('alter table %s drop constraint %I', place, found.conname);
        end if;
      end loop;
      continue when settled;
      query := case wanted.contype
        when 'c' then format('select * from %s where not (%s)', place, wanted.expression)
        when 'f' then format('select * from %1$s where %2$I is not null and %2$I not in (select %3$I from %4$s)',
                             place, wanted.col, wanted.elsewhere_col, wanted.elsewhere)
        else format('select * from %1$s where %2$I is null or %2$I in (select %2$I from %1$s group by 1 having count(*) > 1)',
                    place, wanted.col)
      end;
      execute format('select count(*) from (%s) as unfit', query) into rows;
      if rows > 0 then
        problems := problems || format('%s break %s (%s)', rows, wanted.conname, query);
      else
        execute format('alter table %s add constraint %I %s', place, wanted.conname, wanted.definition);
      end if;
    end loop;

    -- Columns again: what must not be null and what may, once no primary key that went says otherwise.
    for wanted in
      select a.attname as col, a.attnotnull as required
      from pg_catalog.pg_attribute as a
        join pg_catalog.pg_attribute as f on f.attrelid = theirs and f.attname = a.attname and not f.attisdropped
      where a.attrelid = ours and a.attnum > 0 and a.attnotnull <> f.attnotnull
    loop
      query := format('select * from %s where %I is null', place, wanted.col);
      execute format('select count(*) from (%s) as unfit', query) into rows;
      if not wanted.required then
        execute format('alter table %s alter column %I drop not null', place, wanted.col);
      elsif rows = 0 then
        execute format('alter table %s alter column %I set not null', place, wanted.col);
      else
        problems := problems || format('%s have no %s (%s)', rows, wanted.col, query);
      end if;
    end loop;

    -- Indexes, by their name.
    for wanted in
      select relname, indisunique, replace(pg_get_indexdef(oid), ' ON sigma.', ' ON public.') as definition,
        pg_get_indexdef(oid, 1, true) as key
      from pg_catalog.pg_index join pg_catalog.pg_class on pg_class.oid = indexrelid
      where indrelid = ours and not indisprimary
      order by relname
    loop
      select pg_get_indexdef(oid) as definition, indisvalid as valid into found
      from pg_catalog.pg_index join pg_catalog.pg_class on pg_class.oid = indexrelid
      where indrelid = theirs and relname = wanted.relname;
      continue when found.definition = wanted.definition and found.valid;
      if found.definition is not null then
        execute format('drop index public.%I', wanted.relname);
      end if;
      query := format('select * from %1$s where %2$s in (select %2$s from %1$s group by 1 having count(*) > 1) order by %2$s',
                      place, wanted.key);
      rows := 0;
      if wanted.indisunique then
        execute format('select count(*) from (%s) as unfit', query) into rows;
      end if;
      if rows > 0 then
        problems := problems || format('%s have the same %s (%s)', rows, wanted.key, query);
      else
        execute wanted.definition;
      end if;
    end loop;

    execute format('drop table sigma.%I', name);
    if problems <> '{}' then
      raise exception 'of the rows in %, %', place, array_to_string(problems, '; ')
        using errcode = 'integrity_constraint_violation',
              hint = 'Change or remove the rows that the query shows, then migrate again.';
    end if;
  end loop;
end
$$;

-- Policies add up: one more that lets somebody signed in see profiles, such as the "viewable by everyone" of Supabase's
-- tutorial, would show them all. Whether it is meant is not ours to guess. (On leads no policy can add anything: the
-- grants allow to join and nothing else.)
do $$
declare
  other record;
begin
  for other in
    select polname
    from pg_catalog.pg_policy
    where polrelid = to_regclass('public.profiles') and polpermissive
      and polroles && array[0::oid, 'authenticated'::regrole::oid]
      and polname not in (
        'read_own_profile_data', 'insert_own_profile_data', 'update_own_profile_data', 'delete_own_profile_data'
      )
    order by polname
  loop
    raise exception 'public.profiles has a policy that Sigma does not know, "%", which may show profiles to others', other.polname
      using errcode = 'object_not_in_prerequisite_state',
            hint = format('Sigma brings the documented policies along; run: drop policy %I on public.profiles.', other.polname);
  end loop;
end
$$;
