// What the cases share: clients, people of their own, and the mails that they get.

import { randomUUID } from "node:crypto";
import { createClient } from "@supabase/supabase-js";

const { VITE_SUPABASE_URL: URL_THERE, VITE_SUPABASE_ANON_KEY, SUPABASE_SERVICE_ROLE_KEY } = process.env;
const WAIT_MS = 20_000;

export const PASSWORD = "correct horse battery";

export const visitor = (auth = {}) =>
  createClient(URL_THERE, VITE_SUPABASE_ANON_KEY, {
    auth: { autoRefreshToken: false, detectSessionInUrl: false, ...auth },
  });

export const service = createClient(URL_THERE, SUPABASE_SERVICE_ROLE_KEY, {
  auth: { autoRefreshToken: false, persistSession: false },
});

export const address = (name) => `${name}-${randomUUID()}@example.com`;

// Somebody with a verified address, and a client that they are signed in with.
export async function person(name) {
  const email = address(name);
  const made = await service.auth.admin.createUser({ email, password: PASSWORD, email_confirm: true });
  if (made.error) throw made.error;
  const client = visitor();
  const signedIn = await client.auth.signInWithPassword({ email, password: PASSWORD });
  if (signedIn.error) throw signedIn.error;
  return { id: made.data.user.id, email, client, session: signedIn.data.session };
}

// The newest mail to an address, once there are as many as asked for.
export async function mail(to, count = 1) {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const all = await (await fetch(`${URL_THERE}/dev/mailbox.json`)).json();
    const theirs = all.filter((one) => one.to.includes(to));
    if (theirs.length >= count) return opened(theirs[0]);
    if (Date.now() > deadline) throw new Error(`${theirs.length} of ${count} mails to ${to} came`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// What a mail holds: its link, that link's token hash, its code.
function opened({ text }) {
  const link = new URL(text.match(/https?:\/\/\S+\/verify\?\S+/)[0]);
  return { link, hash: link.searchParams.get("token"), type: link.searchParams.get("type"), code: text.match(/\b\d{6}\b/)[0] };
}

// Where following a mailed link leads, without going there.
export async function follow(link) {
  const answer = await fetch(link, { redirect: "manual" });
  return { status: answer.status, to: new URL(answer.headers.get("location")) };
}
