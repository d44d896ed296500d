delete from procrastinate.procrastinate_jobs where queue_name = 'sandbox';
drop function sigma.queue_delivery(jsonb, timestamptz);
drop table sigma.sandbox_settings, sigma.sandbox_requests, sigma.sandbox_objects;
