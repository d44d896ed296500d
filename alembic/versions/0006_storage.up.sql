-- Schema storage, in Supabase's own shape.

create schema storage;
