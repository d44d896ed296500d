drop view sigma.messages_by_address;
