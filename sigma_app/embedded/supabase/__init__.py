"""Supabase's HTTP API, served by our own backend when no SUPABASE_URL is set: auth, REST and storage.

What its clients rely on is in the servers it stands in for (supabase/auth, PostgREST, supabase/storage). `app.routes()`
mounts it; the application itself reaches it as everybody does, through the supabase client.
"""
