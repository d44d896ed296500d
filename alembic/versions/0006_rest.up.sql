-- What the REST stand-in needs from the database: to be told when tables change, in the words that PostgREST's
-- documentation has for it, so that it or anything else that listens for them may stand there as well.

create function sigma.tell_of_changed_tables() returns event_trigger language plpgsql set search_path = '' as $$
begin
  notify pgrst, 'reload schema';
end;
$$;
revoke execute on function sigma.tell_of_changed_tables from public;

-- Only a superuser may make an event trigger. Elsewhere the REST stand-in notices by what it does not find, or is told
-- by hand: notify pgrst, 'reload schema'.
do $$
begin
  create event trigger tell_of_changed_tables on ddl_command_end
    when tag in (
      'ALTER DOMAIN', 'ALTER FOREIGN TABLE', 'ALTER FUNCTION', 'ALTER MATERIALIZED VIEW', 'ALTER SCHEMA', 'ALTER TABLE',
      'ALTER TYPE', 'ALTER VIEW', 'COMMENT', 'CREATE DOMAIN', 'CREATE FOREIGN TABLE', 'CREATE FUNCTION',
      'CREATE MATERIALIZED VIEW', 'CREATE TABLE', 'CREATE TABLE AS', 'CREATE TYPE', 'CREATE VIEW', 'SELECT INTO'
    )
    execute function sigma.tell_of_changed_tables();
  create event trigger tell_of_dropped_tables on sql_drop execute function sigma.tell_of_changed_tables();
exception
  when insufficient_privilege then
    null;
end
$$;
