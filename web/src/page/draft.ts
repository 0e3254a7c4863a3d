import { go } from "./place";

const NAME = "maquette.draft";
const KEY = "maquette.sent";

interface Draft {
  prompt: string;
  optimizePrompt: boolean;
}

/** What was being written when the page was left or reloaded. */
export function draft(): Draft {
  const kept = sessionStorage.getItem(NAME);
  return kept ? (JSON.parse(kept) as Draft) : { prompt: "", optimizePrompt: true };
}

/** Begin to write a new request with the words of another. */
export function rewrite(prompt: string): void {
  keep({ ...draft(), prompt });
  go(null);
}

export function keep(draft: Draft | null): void {
  if (draft) {
    sessionStorage.setItem(NAME, JSON.stringify(draft));
  } else {
    sessionStorage.removeItem(NAME);
    sessionStorage.removeItem(KEY);
  }
}

/** The idempotency key for a draft. Sent again after a lost answer, even from a reloaded page, it has the same one. */
export function keyFor(draft: Draft): string {
  const text = JSON.stringify(draft);
  const [sent, key] = JSON.parse(sessionStorage.getItem(KEY) ?? "[]") as string[];
  if (sent === text && key) return key;
  const fresh = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  sessionStorage.setItem(KEY, JSON.stringify([text, fresh]));
  return fresh;
}
