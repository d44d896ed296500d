"""Who is signed in to the portal: a cookie, the row it names, the tabs that show what is theirs.

The browser holds one opaque cookie that no script can read. Supabase's tokens stay with its row, sealed, and are
renewed here. Whatever ends a session deletes the row, and the database tells every process, which closes its tabs.
"""
