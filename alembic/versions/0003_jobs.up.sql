-- Who may use the queue, and how a transaction puts a job into it.

-- The package's functions name its tables without their schema: each looks for them there, whoever calls it and from
-- wherever, a trigger on a table of ours included.
do $$
declare
  name regprocedure;
begin
  for name in select oid from pg_catalog.pg_proc where pronamespace = 'procrastinate'::regnamespace loop
    execute format('alter function %s set search_path = procrastinate, pg_temp', name);
    execute format('revoke execute on function %s from public', name);
  end loop;
end
$$;

-- The worker is the service: it runs under service_role, as requests that act for the service do.
grant usage on schema procrastinate, sigma to service_role;
grant select, insert, update, delete on all tables in schema procrastinate to service_role;
grant usage on all sequences in schema procrastinate to service_role;
grant execute on all functions in schema procrastinate to service_role;

-- A job in the caller's transaction: it is there if that commits, and only then.
-- Nobody else may call it: what a job does is done with the service's rights.
create function sigma.queue_job(task text, args jsonb, at timestamptz default null) returns bigint
language sql volatile set search_path = procrastinate, pg_temp as $$
  select (procrastinate_defer_jobs_v1(
    array[row('default', task, 0, null, null, args, at)::procrastinate_job_to_defer_v1]
  ))[1]
$$;
revoke execute on function sigma.queue_job from public;
grant execute on function sigma.queue_job to service_role;

-- Why tries failed; the queue itself keeps only that they did.
create table sigma.job_errors (
  id bigint primary key generated always as identity,
  job_id bigint not null references procrastinate.procrastinate_jobs on delete cascade,
  error text not null,
  failed_at timestamptz not null default now()
);
create index job_errors_job_id on sigma.job_errors (job_id);
grant select, insert on sigma.job_errors to service_role;
