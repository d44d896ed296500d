revoke select on sigma.alembic_version from service_role;

update procrastinate.procrastinate_jobs set args = args - '_request' where args ? '_request';

create or replace function sigma.queue_job(task text, args jsonb, at timestamptz default null) returns bigint
language sql volatile set search_path = procrastinate, pg_temp as $$
  select (procrastinate_defer_jobs_v1(
    array[row('default', task, 0, null, null, args, at)::procrastinate_job_to_defer_v1]
  ))[1]
$$;

create or replace function sigma.queue_stripe_event(event text) returns bigint
language sql volatile set search_path = '' as $$
  select (procrastinate.procrastinate_defer_jobs_v1(array[
    row('stripe events', 'billing:apply_event', 0, null, null, jsonb_build_object('event_id', event), null)
      ::procrastinate.procrastinate_job_to_defer_v1
  ]))[1]
$$;

create or replace function sigma.queue_auth_mail(args jsonb) returns bigint
language sql volatile security definer set search_path = '' as $$
  select (procrastinate.procrastinate_defer_jobs_v1(array[
    row('supabase', 'accounts:send_auth_mail', 0, null, null, args, null)::procrastinate.procrastinate_job_to_defer_v1
  ]))[1]
$$;

drop function sigma.with_request(jsonb);
