-- Storage goes with all it lists; the files' bytes stay where they are.

drop schema storage cascade;
