-- The bucket stays, if there is one: its files are people's.

do $$
begin
  if to_regclass('storage.objects') is not null then
    drop policy if exists read_own_pictures on storage.objects;
    drop policy if exists add_own_pictures on storage.objects;
    drop policy if exists remove_own_pictures on storage.objects;
  end if;
exception when insufficient_privilege then
  raise warning 'The policies of the bucket "pictures" stay: %', sqlerrm;
end
$$;
