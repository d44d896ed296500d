"""PostgREST's API, as the embedded Supabase serves it."""
