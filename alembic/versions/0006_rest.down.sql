-- Nobody is told of changed tables any more.

drop event trigger if exists tell_of_dropped_tables;
drop event trigger if exists tell_of_changed_tables;
drop function sigma.tell_of_changed_tables;
