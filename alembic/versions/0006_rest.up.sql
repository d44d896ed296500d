-- What the REST stand-in needs from the database: to be told when tables change.

select 1;
