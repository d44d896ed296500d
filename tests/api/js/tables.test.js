// supabase.from() and .rpc(), over a table of the tests' own (served.py) and over Sigma's.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { address, person, service, visitor } from "./support.js";

const things = () => service.from("things");

// Rows of a test's own, told apart by their group.
async function rows(...values) {
  const set = randomUUID();
  const { error } = await things().insert(values.map((value) => ({ set, ...value })));
  assert.ifError(error);
  return set;
}

const FRUIT = [
  { name: "apple", size: 1, tags: ["red", "round"], about: { sweet: true, from: { land: "DE" } } },
  { name: "banana", size: 2, tags: ["yellow"], about: { sweet: true } },
  { name: "cherry, sour", size: 3, tags: ["red"], about: { sweet: false } },
  { name: "date", size: null, tags: [], about: null },
];

test("insert returns nothing unless asked, and select() asks", async () => {
  const set = randomUUID();
  const silent = await things().insert({ set, name: "a" });
  assert.equal(silent.status, 201);
  assert.equal(silent.data, null);
  const { data, status } = await things().insert([{ set, name: "b" }, { set, name: "c", size: 7 }]).select();
  assert.equal(status, 201);
  assert.deepEqual(data.map((row) => [row.name, row.size]), [["b", null], ["c", 7]]);
});

test("insert in bulk fills what one row leaves out with null, or with defaultToNull false with the default", async () => {
  const set = randomUUID();
  const values = [{ set, name: "a", kind: "given" }, { set, name: "b" }];
  const { error } = await things().insert(values).select();
  assert.equal(error.code, "23502");
  const { data } = await things().insert(values, { defaultToNull: false }).select("kind");
  assert.deepEqual(data, [{ kind: "given" }, { kind: "plain" }]);
});

const filtered = (name, narrow, expected) =>
  test(name, async () => {
    const set = await rows(...FRUIT);
    const { data, error } = await narrow(things().select("name").eq("set", set)).order("name");
    assert.ifError(error);
    assert.deepEqual(
      data.map((row) => row.name),
      expected,
    );
  });

filtered("filter eq", (q) => q.eq("name", "apple"), ["apple"]);
filtered("filter neq", (q) => q.neq("name", "apple"), ["banana", "cherry, sour", "date"]);
filtered("filter gt and lte", (q) => q.gt("size", 1).lte("size", 3), ["banana", "cherry, sour"]);
filtered("filter like", (q) => q.like("name", "%an%"), ["banana"]);
filtered("filter ilike", (q) => q.ilike("name", "A%"), ["apple"]);
filtered("filter likeAnyOf", (q) => q.likeAnyOf("name", ["a%", "b%"]), ["apple", "banana"]);
filtered("filter is null", (q) => q.is("size", null), ["date"]);
filtered("filter in with a comma in a value", (q) => q.in("name", ["cherry, sour", "date"]), ["cherry, sour", "date"]);
filtered("filter contains an array", (q) => q.contains("tags", ["red"]), ["apple", "cherry, sour"]);
filtered("filter containedBy", (q) => q.containedBy("tags", ["red", "round"]), ["apple", "cherry, sour", "date"]);
filtered("filter overlaps", (q) => q.overlaps("tags", ["yellow", "round"]), ["apple", "banana"]);
filtered("filter contains a document", (q) => q.contains("about", { sweet: true }), ["apple", "banana"]);
filtered("filter a path into a document", (q) => q.eq("about->from->>land", "DE"), ["apple"]);
filtered("filter match", (q) => q.match({ name: "banana", size: 2 }), ["banana"]);
filtered("filter not", (q) => q.not("size", "is", null), ["apple", "banana", "cherry, sour"]);
filtered("filter or", (q) => q.or('name.eq.apple,and(size.gt.2,tags.cs.{red}),name.eq."date"'), ["apple", "cherry, sour", "date"]);
filtered("filter filter", (q) => q.filter("size", "in", "(1,3)"), ["apple", "cherry, sour"]);

test("select with alias, cast and paths", async () => {
  const set = await rows(FRUIT[0]);
  const { data, error } = await things().select("title:name, size::text, land:about->from->>land, about->sweet").eq("set", set);
  assert.ifError(error);
  assert.deepEqual(data, [{ title: "apple", size: "1", land: "DE", sweet: true }]);
});

test("order, limit and range", async () => {
  const set = await rows(...FRUIT);
  const ordered = (options) => things().select("name").eq("set", set).order("size", options);
  assert.equal((await ordered({ ascending: false, nullsFirst: true })).data[0].name, "date");
  assert.equal((await ordered({ ascending: false, nullsFirst: false })).data[0].name, "cherry, sour");
  assert.deepEqual((await ordered().limit(1)).data, [{ name: "apple" }]);
  assert.deepEqual((await ordered().range(1, 2)).data.map((row) => row.name), ["banana", "cherry, sour"]);
});

test("count with and without rows", async () => {
  const set = await rows(...FRUIT);
  const some = await things().select("name", { count: "exact" }).eq("set", set).limit(2);
  assert.equal(some.count, 4);
  assert.equal(some.data.length, 2);
  assert.equal(some.status, 206);
  const none = await things().select("*", { count: "exact", head: true }).eq("set", set);
  assert.equal(none.count, 4);
  assert.equal(none.data, null);
  for (const count of ["planned", "estimated"]) {
    assert.equal(typeof (await things().select("*", { count, head: true })).count, "number");
  }
});

test("a range beyond the end with a count is refused", async () => {
  const set = await rows(FRUIT[0]);
  const { error, status } = await things().select("*", { count: "exact" }).eq("set", set).range(10, 20);
  assert.equal(status, 416);
  assert.equal(error.code, "PGRST103");
});

test("single and maybeSingle", async () => {
  const set = await rows(...FRUIT);
  const of = (name) => things().select("name").eq("set", set).eq("name", name);
  assert.deepEqual((await of("apple").single()).data, { name: "apple" });
  const missing = await of("fig").single();
  assert.equal(missing.error.code, "PGRST116");
  assert.equal(missing.status, 406);
  assert.deepEqual(await of("fig").maybeSingle().then(({ data, error }) => ({ data, error })), { data: null, error: null });
  assert.equal((await things().select("name").eq("set", set).maybeSingle()).error.code, "PGRST116");
});

test("csv", async () => {
  const set = await rows(FRUIT[0], FRUIT[2]);
  const { data, error } = await things().select("name,size").eq("set", set).order("name").csv();
  assert.ifError(error);
  assert.equal(data.trimEnd(), 'name,size\napple,1\n"cherry, sour",3');
});

test("update touches what the filter names, and returns it where asked", async () => {
  const set = await rows(...FRUIT);
  const silent = await things().update({ size: 9 }).eq("set", set).eq("name", "date");
  assert.equal(silent.status, 204);
  const { data } = await things().update({ size: 10 }).eq("set", set).gt("size", 2).select("name");
  assert.deepEqual(data.map((row) => row.name).sort(), ["cherry, sour", "date"]);
  assert.deepEqual((await things().update({ size: 1 }).eq("set", randomUUID()).select()).data, []);
});

test("update and delete without a filter are refused", async () => {
  assert.equal((await things().update({ size: 0 })).error.code, "21000");
  assert.equal((await things().delete()).error.code, "21000");
});

test("upsert merges, or ignores, by the key or by columns", async () => {
  const set = randomUUID();
  const first = await things().upsert({ set, name: "a", size: 1 }, { onConflict: "set,name" }).select().single();
  assert.ifError(first.error);
  const merged = await things().upsert({ set, name: "a", size: 2 }, { onConflict: "set,name" }).select().single();
  assert.equal(merged.data.id, first.data.id);
  assert.equal(merged.data.size, 2);
  const ignored = await things().upsert({ set, name: "a", size: 3 }, { onConflict: "set,name", ignoreDuplicates: true }).select();
  assert.deepEqual(ignored.data, []);
  const byKey = await things().upsert({ id: first.data.id, set, name: "b" }).select().single();
  assert.equal(byKey.data.name, "b");
  assert.equal((await things().upsert({ set, name: "x" }, { onConflict: "size" })).error.code, "42P10");
});

test("delete", async () => {
  const set = await rows(...FRUIT);
  assert.equal((await things().delete().eq("set", set).eq("name", "apple")).status, 204);
  const { data, count } = await things().delete({ count: "exact" }).eq("set", set).select("name");
  assert.equal(data.length, 3);
  assert.equal(count, 3);
});

test("errors are Postgres' own, with their status", async () => {
  const set = randomUUID();
  const { data } = await things().insert({ set, name: "a" }).select().single();
  const twice = await things().insert({ id: data.id, set, name: "b" });
  assert.equal(twice.status, 409);
  assert.equal(twice.error.code, "23505");
  assert.equal((await things().insert({ set })).error.code, "23502");
  assert.equal((await things().select("nothing")).error.code, "42703");
  assert.equal((await things().insert({ set, name: "a", nothing: 1 })).error.code, "PGRST204");
  assert.equal((await things().select().eq("id", "no uuid")).error.code, "22P02");
  const unknown = await service.from("no_such_table").select();
  assert.equal(unknown.status, 404);
  assert.equal(unknown.error.code, "PGRST205");
});

test("rpc with POST, GET and rows", async () => {
  assert.equal((await service.rpc("add_up", { a: 2, b: 3 })).data, 5);
  assert.equal((await service.rpc("add_up", { a: 2, b: 3 }, { get: true })).data, 5);
  const many = await service.rpc("up_to", { most: 5 }).gt("n", 2).order("n", { ascending: false }).limit(2);
  assert.deepEqual(many.data, [{ n: 5 }, { n: 4 }]);
  const unknown = await service.rpc("no_such_function");
  assert.equal(unknown.status, 404);
  assert.equal(unknown.error.code, "PGRST202");
});

test("schema() other than the exposed one is refused", async () => {
  const { error, status } = await service.schema("auth").from("users").select();
  assert.equal(status, 406);
  assert.equal(error.code, "PGRST106");
});

test("a visitor joins the list, once, and reads nobody", async () => {
  const email = address("joins");
  const client = visitor();
  const joined = await client.from("leads").insert({ email });
  assert.equal(joined.status, 201);
  const again = await client.from("leads").insert({ email: email.toUpperCase() });
  assert.equal(again.status, 409);
  assert.equal(again.error.code, "23505");
  const looked = await client.from("leads").select("email");
  assert.ok(looked.error || looked.data.length === 0);
  const told = await client.from("leads").insert({ email: address("told") }).select();
  assert.equal(told.error.code, "42501");
  assert.equal((await service.from("leads").select("email").eq("email", email)).data.length, 1);
});

test("somebody signed in reads and changes their own profile alone", async () => {
  const [alice, bob] = [await person("alice"), await person("bob")];
  const mine = await alice.client.from("profiles").select("id, email, has_access");
  assert.deepEqual(mine.data, [{ id: alice.id, email: alice.email, has_access: false }]);
  assert.deepEqual((await alice.client.from("profiles").select().eq("id", bob.id)).data, []);
  const named = await alice.client.from("profiles").update({ name: "Alice" }).eq("id", alice.id).select("name").single();
  assert.deepEqual(named.data, { name: "Alice" });
  assert.deepEqual((await alice.client.from("profiles").update({ name: "Eve" }).eq("id", bob.id).select()).data, []);
  const paid = await alice.client.from("profiles").update({ has_access: true }).eq("id", alice.id);
  assert.equal(paid.status, 403);
  assert.equal(paid.error.code, "42501");
  const theirs = await alice.client.from("profiles").insert({ id: bob.id, name: "Eve" });
  assert.equal(theirs.status, 403);
});
