// supabase.auth, from signing up to the administrator's calls.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PASSWORD, address, follow, mail, person, service, visitor } from "./support.js";

// Whoever holds a client under PKCE must keep its verifier between two calls.
function keeper() {
  const kept = new Map();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
}

async function signUp(name, auth) {
  const email = address(name);
  const client = visitor(auth);
  const { data, error } = await client.auth.signUp({ email, password: PASSWORD, options: { data: { name } } });
  assert.ifError(error);
  return { email, client, data };
}

test("signUp makes an unconfirmed user and no session", async () => {
  const { email, data } = await signUp("sign-up");
  assert.equal(data.session, null);
  assert.equal(data.user.email, email);
  assert.equal(data.user.user_metadata.name, "sign-up");
  assert.ok(data.user.confirmation_sent_at);
  assert.equal(data.user.identities.length, 1);
});

test("signUp with the address of somebody confirmed tells nothing", async () => {
  const { id, email } = await person("known");
  const { data, error } = await visitor().auth.signUp({ email, password: "another password" });
  assert.ifError(error);
  assert.notEqual(data.user.id, id);
  assert.deepEqual(data.user.identities, []);
});

test("signUp refuses a weak password with its reasons", async () => {
  const { error } = await visitor().auth.signUp({ email: address("weak"), password: "short" });
  assert.equal(error.name, "AuthWeakPasswordError");
  assert.equal(error.code, "weak_password");
  assert.deepEqual(error.reasons, ["length"]);
});

test("the mailed link confirms and comes back with a session", async () => {
  const { email, client } = await signUp("link");
  const early = await client.auth.signInWithPassword({ email, password: PASSWORD });
  assert.equal(early.error.code, "email_not_confirmed");
  const { link } = await mail(email);
  const { status, to } = await follow(link);
  assert.equal(status, 303);
  const session = new URLSearchParams(to.hash.slice(1));
  assert.equal(session.get("type"), "signup");
  const { data, error } = await client.auth.setSession({
    access_token: session.get("access_token"),
    refresh_token: session.get("refresh_token"),
  });
  assert.ifError(error);
  assert.equal(data.user.email, email);
  assert.equal(new URLSearchParams((await follow(link)).to.hash.slice(1)).get("error_code"), "otp_expired");
});

test("verifyOtp takes the mailed code", async () => {
  const { email, client } = await signUp("code");
  const { code } = await mail(email);
  const wrong = await client.auth.verifyOtp({ email, token: code === "000000" ? "000001" : "000000", type: "email" });
  assert.equal(wrong.error.code, "otp_expired");
  const { data, error } = await client.auth.verifyOtp({ email, token: code, type: "email" });
  assert.ifError(error);
  assert.ok(data.session.access_token);
  assert.ok(data.user.email_confirmed_at);
});

test("verifyOtp takes the token hash of a link", async () => {
  const { email, client } = await signUp("hash");
  const { hash, type } = await mail(email);
  const { data, error } = await client.auth.verifyOtp({ token_hash: hash, type });
  assert.ifError(error);
  assert.equal(data.user.email, email);
});

test("resend mails another link", async () => {
  const { email, client } = await signUp("resend");
  const first = await mail(email);
  const { error } = await client.auth.resend({ type: "signup", email });
  assert.ifError(error);
  const second = await mail(email, 2);
  assert.notEqual(second.hash, first.hash);
  assert.equal((await client.auth.verifyOtp({ token_hash: first.hash, type: "signup" })).error.code, "otp_expired");
  assert.ifError((await client.auth.verifyOtp({ token_hash: second.hash, type: "signup" })).error);
});

test("signInWithPassword refuses a wrong password and an unknown address alike", async () => {
  const { email } = await person("wrong");
  for (const tried of [email, address("nobody")]) {
    const { error } = await visitor().auth.signInWithPassword({ email: tried, password: "not the password" });
    assert.equal(error.status, 400);
    assert.equal(error.code, "invalid_credentials");
    assert.equal(error.message, "Invalid login credentials");
  }
});

test("signInWithPassword takes the address in any case", async () => {
  const { id, email } = await person("case");
  const { data, error } = await visitor().auth.signInWithPassword({ email: email.toUpperCase(), password: PASSWORD });
  assert.ifError(error);
  assert.equal(data.user.id, id);
});

test("getUser and getClaims say who holds the session", async () => {
  const { id, client } = await person("who");
  const { data, error } = await client.auth.getUser();
  assert.ifError(error);
  assert.equal(data.user.id, id);
  assert.equal(data.user.role, "authenticated");
  const claims = await client.auth.getClaims();
  assert.ifError(claims.error);
  assert.equal(claims.data.claims.sub, id);
  assert.equal((await visitor().auth.getUser("no.such.token")).error.code, "bad_jwt");
});

test("updateUser merges metadata and null takes a key away", async () => {
  const { client } = await person("metadata");
  await client.auth.updateUser({ data: { colour: "green", shape: "round" } });
  const { data, error } = await client.auth.updateUser({ data: { colour: null, size: 3 } });
  assert.ifError(error);
  assert.equal(data.user.user_metadata.shape, "round");
  assert.equal(data.user.user_metadata.size, 3);
  assert.ok(!("colour" in data.user.user_metadata));
});

test("updateUser changes the password and ends the other sessions", async () => {
  const { email, client } = await person("password");
  const other = visitor();
  await other.auth.signInWithPassword({ email, password: PASSWORD });
  assert.equal((await client.auth.updateUser({ password: PASSWORD })).error.code, "same_password");
  assert.ifError((await client.auth.updateUser({ password: "another password" })).error);
  assert.ifError((await client.auth.getUser()).error);
  assert.equal((await other.auth.getUser()).error.name, "AuthSessionMissingError");
  assert.equal((await visitor().auth.signInWithPassword({ email, password: PASSWORD })).error.code, "invalid_credentials");
  assert.ifError((await visitor().auth.signInWithPassword({ email, password: "another password" })).error);
});

test("updateUser changes the address once both mailboxes have confirmed", async () => {
  const { email, client } = await person("move");
  const next = address("moved");
  const { data, error } = await client.auth.updateUser({ email: next });
  assert.ifError(error);
  assert.equal(data.user.email, email);
  assert.equal(data.user.new_email, next);
  const half = await follow((await mail(email)).link);
  assert.match(half.to.hash, /message=/);
  await follow((await mail(next)).link);
  const signedIn = await visitor().auth.signInWithPassword({ email: next, password: PASSWORD });
  assert.ifError(signedIn.error);
  assert.equal(signedIn.data.user.email, next);
});

test("refreshSession rotates and the parent of the active token is answered with it", async () => {
  const { client, session } = await person("refresh");
  const first = await client.auth.refreshSession();
  assert.ifError(first.error);
  assert.notEqual(first.data.session.refresh_token, session.refresh_token);
  const lost = await visitor().auth.refreshSession({ refresh_token: session.refresh_token });
  assert.ifError(lost.error);
  assert.equal(lost.data.session.refresh_token, first.data.session.refresh_token);
  const unknown = await visitor().auth.refreshSession({ refresh_token: "abcdefghijkl" });
  assert.equal(unknown.error.code, "refresh_token_not_found");
});

const signedOut = (name, scope, { mine, theirs }) =>
  test(name, async () => {
    const { email, client, session } = await person(`out-${scope}`);
    const other = visitor();
    const { data } = await other.auth.signInWithPassword({ email, password: PASSWORD });
    assert.ifError((await client.auth.signOut({ scope })).error);
    assert.equal((await visitor().auth.getUser(session.access_token)).error === null, mine);
    assert.equal((await visitor().auth.getUser(data.session.access_token)).error === null, theirs);
    assert.equal((await client.auth.getSession()).data.session !== null, mine);
  });

signedOut("signOut global ends every session", "global", { mine: false, theirs: false });
signedOut("signOut local ends this session", "local", { mine: false, theirs: true });
signedOut("signOut others ends the others", "others", { mine: true, theirs: false });

test("resetPasswordForEmail mails a link that lets one set a new password", async () => {
  const { email } = await person("forgot");
  const client = visitor();
  assert.ifError((await client.auth.resetPasswordForEmail(email)).error);
  const { link } = await mail(email);
  const session = new URLSearchParams((await follow(link)).to.hash.slice(1));
  assert.equal(session.get("type"), "recovery");
  await client.auth.setSession({ access_token: session.get("access_token"), refresh_token: session.get("refresh_token") });
  assert.ifError((await client.auth.updateUser({ password: "a better password" })).error);
  assert.ifError((await visitor().auth.signInWithPassword({ email, password: "a better password" })).error);
  assert.ifError((await visitor().auth.resetPasswordForEmail(address("nobody"))).error);
});

test("exchangeCodeForSession ends a PKCE sign-up in the client that began it", async () => {
  const storage = keeper();
  const { email, client } = await signUp("pkce", { flowType: "pkce", storage });
  const { link } = await mail(email);
  const code = (await follow(link)).to.searchParams.get("code");
  const elsewhere = await visitor({ flowType: "pkce", storage: keeper() }).auth.exchangeCodeForSession(code);
  assert.ok(elsewhere.error);
  const { data, error } = await client.auth.exchangeCodeForSession(code);
  assert.ifError(error);
  assert.equal(data.user.email, email);
});

test("exchangeCodeForSession ends a PKCE recovery", async () => {
  const { email } = await person("pkce-forgot");
  const client = visitor({ flowType: "pkce", storage: keeper() });
  assert.ifError((await client.auth.resetPasswordForEmail(email)).error);
  const code = (await follow((await mail(email)).link)).to.searchParams.get("code");
  const { data, error } = await client.auth.exchangeCodeForSession(code);
  assert.ifError(error);
  assert.equal(data.session.user.email, email);
});

test("signInWithOtp mails a code, and knows strangers only where asked to", async () => {
  const { id, email, client } = await person("otp");
  assert.ifError((await client.auth.signInWithOtp({ email })).error);
  const { code } = await mail(email);
  const { data, error } = await visitor().auth.verifyOtp({ email, token: code, type: "email" });
  assert.ifError(error);
  assert.equal(data.user.id, id);
  const stranger = await visitor().auth.signInWithOtp({ email: address("x"), options: { shouldCreateUser: false } });
  assert.equal(stranger.error.code, "otp_disabled");
});

test("reauthenticate mails a code", async () => {
  const { client } = await person("nonce");
  assert.ifError((await client.auth.reauthenticate()).error);
});

test("signInAnonymously and signInWithOAuth are not served", async () => {
  assert.equal((await visitor().auth.signInAnonymously()).error.code, "anonymous_provider_disabled");
  assert.equal((await visitor().auth.signInWithOtp({ phone: "+4915112345678" })).error.status, 400);
});

test("admin.createUser, getUserById, updateUserById, deleteUser", async () => {
  const email = address("admin");
  const made = await service.auth.admin.createUser({ email, password: PASSWORD, user_metadata: { a: 1 } });
  assert.ifError(made.error);
  const { id } = made.data.user;
  assert.equal((await service.auth.admin.createUser({ email })).error.code, "email_exists");
  assert.equal((await service.auth.admin.getUserById(id)).data.user.email, email);
  const changed = await service.auth.admin.updateUserById(id, { email_confirm: true, app_metadata: { plan: "pro" } });
  assert.ifError(changed.error);
  assert.equal(changed.data.user.app_metadata.plan, "pro");
  assert.ifError((await visitor().auth.signInWithPassword({ email, password: PASSWORD })).error);
  assert.ifError((await service.auth.admin.deleteUser(id)).error);
  assert.equal((await service.auth.admin.getUserById(id)).error.code, "user_not_found");
});

test("admin.updateUserById bans and lets back in", async () => {
  const { id, email } = await person("banned");
  await service.auth.admin.updateUserById(id, { ban_duration: "24h" });
  assert.equal((await visitor().auth.signInWithPassword({ email, password: PASSWORD })).error.code, "user_banned");
  await service.auth.admin.updateUserById(id, { ban_duration: "none" });
  assert.ifError((await visitor().auth.signInWithPassword({ email, password: PASSWORD })).error);
});

test("admin.listUsers pages", async () => {
  await person("page-a");
  await person("page-b");
  const first = await service.auth.admin.listUsers({ page: 1, perPage: 1 });
  assert.ifError(first.error);
  assert.equal(first.data.users.length, 1);
  assert.ok(first.data.total >= 2);
  assert.equal(first.data.nextPage, 2);
  assert.ok(first.data.lastPage >= 2);
  assert.ok((await service.auth.admin.listUsers()).data.users.length >= 2);
});

test("admin.generateLink gives the link and mails nothing", async () => {
  const { email } = await person("generate");
  const { data, error } = await service.auth.admin.generateLink({ type: "magiclink", email });
  assert.ifError(error);
  assert.equal(data.user.email, email);
  const { action_link, email_otp, hashed_token, verification_type } = data.properties;
  assert.match(email_otp, /^\d{6}$/);
  assert.equal(verification_type, "magiclink");
  assert.equal(new URL(action_link).searchParams.get("token"), hashed_token);
  const signedIn = await visitor().auth.verifyOtp({ token_hash: hashed_token, type: "magiclink" });
  assert.ifError(signedIn.error);
});

test("admin.inviteUserByEmail mails an invitation", async () => {
  const email = address("invited");
  const { data, error } = await service.auth.admin.inviteUserByEmail(email, { data: { from: "us" } });
  assert.ifError(error);
  assert.equal(data.user.user_metadata.from, "us");
  const { hash, type } = await mail(email);
  assert.equal(type, "invite");
  assert.ifError((await visitor().auth.verifyOtp({ token_hash: hash, type })).error);
});

test("admin.signOut ends the session of a token", async () => {
  const { session } = await person("thrown-out");
  assert.ifError((await service.auth.admin.signOut(session.access_token, "global")).error);
  assert.ok((await visitor().auth.getUser(session.access_token)).error);
});

test("admin is for the service alone", async () => {
  const { session } = await person("not-admin");
  const { error } = await visitor().auth.admin.createUser({ email: address("x") });
  assert.equal(error.code, "not_admin");
  assert.ok((await visitor().auth.getUser(session.access_token)).data.user);
});
