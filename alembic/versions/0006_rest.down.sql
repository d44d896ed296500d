-- Nobody is told of changed tables any more.

select 1;
