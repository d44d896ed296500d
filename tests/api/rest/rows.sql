truncate public.things, public.counted, public.pairs, public.loose, public.parents, public.children,
  public."odd ""name"".ünï", public.guarded, public.hidden, public.write_only restart identity;
insert into public.things (name, amount, price, ratio, flag, data, raw, tags, numbers, span, day, at, feeling, code) values
  ('apple', 1, 1.50, 0.5, true, '{"color": "red", "size": {"w": 1}, "list": [10, 20]}', '{"a": 1}', '{fruit,red}',
    '{1,2}', '[1,5)', '2026-01-01', '2026-01-01 12:00+00', 'happy', 'ab'),
  ('banana', 2, 2.25, 1.5, false, '{"color": "yellow", "size": {"w": 2}}', '[1, 2]', '{fruit}', '{2,3}', '[5,9)',
    '2026-02-01', '2026-02-01 12:00+00', 'ok', 'cd'),
  ('cherry pie', 3, null, null, null, null, null, null, null, null, null, null, 'sad', null),
  ('a,b.c(d)"e"\f', 4, -1, -0.5, true, '{"color": null}', 'null', '{"x,y","q\"r"}', '{}', 'empty', null, null, null, ''),
  (null, null, 0, 0, false, '[1, 2, 3]', '"text"', '{}', null, '(,)', '2026-03-01', null, 'ok', 'abcd');
insert into public.pairs values (1, 'x', 'first'), (2, 'y', 'second');
insert into public.loose values (1, 'one'), (1, 'one'), (null, null);
insert into public.parents values (1);
insert into public."odd ""name"".ünï" values (1, 'dotted', 'c', 'q', 'd', 'ü'), (2, 'other', null, null, null, null);
insert into public.guarded values (1, true), (2, false);
insert into public.hidden values (1);
