"""Accounts: the mails with which people sign up, sign in and change what is theirs."""
