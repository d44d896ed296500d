-- People's pictures: everybody reads and writes their own folder, named by their id, in the private bucket that is made
-- when it is first needed (gateways/pictures.py).

do $$
declare
  own constant text := $own$bucket_id = 'pictures' and (storage.foldername(name))[1] = (select auth.uid())::text$own$;
begin
  if to_regclass('storage.objects') is null then
    return;  -- a Postgres without storage, beside a Supabase project elsewhere
  end if;
  drop policy if exists read_own_pictures on storage.objects;
  drop policy if exists add_own_pictures on storage.objects;
  drop policy if exists remove_own_pictures on storage.objects;
  execute 'create policy read_own_pictures on storage.objects for select to authenticated using (' || own || ')';
  execute 'create policy add_own_pictures on storage.objects for insert to authenticated with check (' || own || ')';
  execute 'create policy remove_own_pictures on storage.objects for delete to authenticated using (' || own || ')';
exception when insufficient_privilege then
  -- Storage is not the migration's to change. Until its owner runs these lines (docs/hosting.md), nobody has a picture.
  raise warning 'The policies of the bucket "pictures" are missing: %', sqlerrm;
end
$$;
