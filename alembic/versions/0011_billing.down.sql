drop table billing.access_changes, billing.subscriptions, billing.purchases, billing.checkouts, billing.customers, billing.prices,
  billing.products;
drop schema billing;
alter table sigma.webhook_events drop column customer, drop column created_at, drop column tries, drop column error;
