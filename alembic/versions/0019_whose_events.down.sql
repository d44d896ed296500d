drop index sigma.webhook_events_to, sigma.webhook_events_naming;
drop function sigma.digests_of(jsonb);
