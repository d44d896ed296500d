// Writes each case that ended as a line of JSON: {file, name, error}.

import path from "node:path";

export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type === "test:stderr") process.stderr.write(data.message);
    if (type !== "test:pass" && type !== "test:fail") continue;
    const cause = data.details?.error?.cause ?? data.details?.error;
    const error = type === "test:fail" ? String(cause?.stack ?? cause ?? "failed") : null;
    yield `${JSON.stringify({ file: path.basename(data.file ?? ""), name: data.name, error })}\n`;
  }
}
