-- Jobs keep the id of the request that caused them, also where a trigger queues them: the transaction knows it
-- (core/database.py), and the worker takes it out again before the job sees its arguments (core/jobs.py).
create function sigma.with_request(args jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select case when coalesce(current_setting('sigma.request', true), '') = '' then args
    else args || jsonb_build_object('_request', current_setting('sigma.request', true)) end
$$;
revoke execute on function sigma.with_request from public;
grant execute on function sigma.with_request to service_role;

create or replace function sigma.queue_job(task text, args jsonb, at timestamptz default null) returns bigint
language sql volatile set search_path = procrastinate, pg_temp as $$
  select (procrastinate_defer_jobs_v1(
    array[row('default', task, 0, null, null, sigma.with_request(args), at)::procrastinate_job_to_defer_v1]
  ))[1]
$$;

create or replace function sigma.queue_stripe_event(event text) returns bigint
language sql volatile set search_path = '' as $$
  select (procrastinate.procrastinate_defer_jobs_v1(array[
    row('stripe events', 'billing:apply_event', 0, null, null,
      sigma.with_request(jsonb_build_object('event_id', event)), null)::procrastinate.procrastinate_job_to_defer_v1
  ]))[1]
$$;

create or replace function sigma.queue_auth_mail(args jsonb) returns bigint
language sql volatile security definer set search_path = '' as $$
  select (procrastinate.procrastinate_defer_jobs_v1(array[
    row('supabase', 'accounts:send_auth_mail', 0, null, null, sigma.with_request(args), null)
      ::procrastinate.procrastinate_job_to_defer_v1
  ]))[1]
$$;

-- A process that serves says whether the schema is the one that it was written for.
grant select on sigma.alembic_version to service_role;
