// supabase.storage: buckets, and files in them.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { person, service, visitor } from "./support.js";

const PIXEL = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

async function bucket(options = { public: false }) {
  const id = `bucket-${randomUUID()}`;
  const { error } = await service.storage.createBucket(id, options);
  assert.ifError(error);
  return service.storage.from(id);
}

async function bytes(blob) {
  return Buffer.from(await blob.arrayBuffer());
}

async function put(files, name, body = PIXEL, options = { contentType: "image/png" }) {
  const { data, error } = await files.upload(name, body, options);
  assert.ifError(error);
  return data;
}

test("createBucket, getBucket, updateBucket, listBuckets, emptyBucket, deleteBucket", async () => {
  const id = `bucket-${randomUUID()}`;
  const made = await service.storage.createBucket(id, { public: false, fileSizeLimit: "1MB", allowedMimeTypes: ["image/*"] });
  assert.ifError(made.error);
  assert.equal(made.data.name, id);
  assert.equal(Number((await service.storage.createBucket(id)).error.statusCode), 409);
  assert.ifError((await service.storage.updateBucket(id, { public: true })).error);
  const { data } = await service.storage.getBucket(id);
  assert.equal(data.public, true);
  assert.ok((await service.storage.listBuckets()).data.some((one) => one.id === id));
  await put(service.storage.from(id), "a.png");
  assert.ok((await service.storage.deleteBucket(id)).error);
  assert.ifError((await service.storage.emptyBucket(id)).error);
  assert.ifError((await service.storage.deleteBucket(id)).error);
  assert.equal(Number((await service.storage.getBucket(id)).error.statusCode), 404);
});

test("upload and download give the same bytes back", async () => {
  const files = await bucket();
  const sent = await put(files, "folder/a picture.png");
  assert.equal(sent.path, "folder/a picture.png");
  assert.match(sent.fullPath, /^bucket-.*\/folder\/a picture\.png$/);
  const { data, error } = await files.download("folder/a picture.png");
  assert.ifError(error);
  assert.equal(data.type, "image/png");
  assert.deepEqual(await bytes(data), PIXEL);
});

test("upload takes a Blob, as browsers send one", async () => {
  const files = await bucket();
  await put(files, "blob.txt", new Blob(["hello"], { type: "text/plain" }), {});
  assert.equal(await (await files.download("blob.txt")).data.text(), "hello");
});

test("upload refuses what is there, and upsert and update replace it", async () => {
  const files = await bucket();
  await put(files, "a.txt", "one", { contentType: "text/plain" });
  const { error } = await files.upload("a.txt", "two", { contentType: "text/plain" });
  assert.equal(Number(error.statusCode), 409);
  assert.ifError((await files.upload("a.txt", "two", { contentType: "text/plain", upsert: true })).error);
  assert.equal(await (await files.download("a.txt")).data.text(), "two");
  assert.ifError((await files.update("a.txt", "three", { contentType: "text/plain" })).error);
  assert.equal(await (await files.download("a.txt")).data.text(), "three");
});

test("a bucket's limits of size and type hold", async () => {
  const files = await bucket({ public: false, fileSizeLimit: 10, allowedMimeTypes: ["text/plain"] });
  const large = await files.upload("large.txt", "x".repeat(11), { contentType: "text/plain" });
  assert.equal(Number(large.error.statusCode), 413);
  const other = await files.upload("a.png", PIXEL.subarray(0, 10), { contentType: "image/png" });
  assert.equal(Number(other.error.statusCode), 415);
});

test("a private bucket is closed to strangers", async () => {
  const files = await bucket();
  await put(files, "secret.png");
  const id = files.bucketId;
  const { client } = await person("stranger");
  for (const who of [visitor(), client]) {
    assert.ok((await who.storage.from(id).download("secret.png")).error);
    assert.deepEqual((await who.storage.from(id).list()).data, []);
    assert.ok((await who.storage.from(id).upload("mine.png", PIXEL)).error);
  }
});

test("getPublicUrl leads to a file of a public bucket", async () => {
  const files = await bucket({ public: true });
  await put(files, "open.png");
  const answer = await fetch(files.getPublicUrl("open.png").data.publicUrl);
  assert.equal(answer.status, 200);
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), PIXEL);
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
});

test("createSignedUrl opens a private file for a while, and nothing else", async () => {
  const files = await bucket();
  await put(files, "a.png");
  await put(files, "b.png");
  const { data, error } = await files.createSignedUrl("a.png", 60);
  assert.ifError(error);
  const answer = await fetch(data.signedUrl);
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), PIXEL);
  assert.notEqual((await fetch(data.signedUrl.replace("a.png", "b.png"))).status, 200);
  const attached = await files.createSignedUrl("a.png", 60, { download: "mine.png" });
  assert.match((await fetch(attached.data.signedUrl)).headers.get("content-disposition"), /attachment.*mine\.png/);
});

test("createSignedUrls says for each path whether it is there", async () => {
  const files = await bucket();
  await put(files, "a.png");
  const { data, error } = await files.createSignedUrls(["a.png", "none.png"], 60);
  assert.ifError(error);
  assert.equal((await fetch(data[0].signedUrl)).status, 200);
  assert.ok(data[1].error);
});

test("createSignedUploadUrl lets somebody without rights upload once", async () => {
  const files = await bucket();
  const { data, error } = await files.createSignedUploadUrl("given.png");
  assert.ifError(error);
  const guest = visitor().storage.from(files.bucketId);
  const sent = await guest.uploadToSignedUrl("given.png", data.token, PIXEL, { contentType: "image/png" });
  assert.ifError(sent.error);
  assert.deepEqual(await bytes((await files.download("given.png")).data), PIXEL);
  assert.ok((await guest.uploadToSignedUrl("other.png", data.token, PIXEL)).error);
});

test("list shows files and folders, sorted, paged, searched", async () => {
  const files = await bucket();
  for (const name of ["b.txt", "a.txt", "c/d.txt", "c/e.txt"]) await put(files, name, name, { contentType: "text/plain" });
  const { data, error } = await files.list("", { sortBy: { column: "name", order: "asc" } });
  assert.ifError(error);
  assert.deepEqual(data.map((one) => [one.name, one.id === null]), [["a.txt", false], ["b.txt", false], ["c", true]]);
  assert.deepEqual((await files.list("c")).data.map((one) => one.name), ["d.txt", "e.txt"]);
  assert.deepEqual((await files.list("", { limit: 1, offset: 1 })).data.map((one) => one.name), ["b.txt"]);
  assert.deepEqual((await files.list("", { search: "a.t" })).data.map((one) => one.name), ["a.txt"]);
});

test("info and exists tell of a file", async () => {
  const files = await bucket();
  await put(files, "a.png", PIXEL, { contentType: "image/png", cacheControl: "60", metadata: { made: "here" } });
  const { data, error } = await files.info("a.png");
  assert.ifError(error);
  assert.equal(data.size, PIXEL.length);
  assert.equal(data.contentType, "image/png");
  assert.equal(data.cacheControl, "max-age=60");
  assert.deepEqual(data.metadata, { made: "here" });
  assert.equal((await files.exists("a.png")).data, true);
  assert.equal((await files.exists("b.png")).data, false);
});

test("move and copy", async () => {
  const files = await bucket();
  await put(files, "a.png");
  assert.ifError((await files.copy("a.png", "folder/b.png")).error);
  assert.ifError((await files.move("a.png", "c.png")).error);
  assert.equal((await files.exists("a.png")).data, false);
  for (const name of ["folder/b.png", "c.png"]) assert.deepEqual(await bytes((await files.download(name)).data), PIXEL);
  assert.ok((await files.move("none.png", "d.png")).error);
  const elsewhere = await bucket();
  assert.ifError((await files.copy("c.png", "c.png", { destinationBucket: elsewhere.bucketId })).error);
  assert.equal((await elsewhere.exists("c.png")).data, true);
});

test("remove takes files away and says which", async () => {
  const files = await bucket();
  await put(files, "a.png");
  await put(files, "b.png");
  const { data, error } = await files.remove(["a.png", "b.png", "none.png"]);
  assert.ifError(error);
  assert.deepEqual(data.map((one) => one.name).sort(), ["a.png", "b.png"]);
  assert.ok((await files.download("a.png")).error);
});
