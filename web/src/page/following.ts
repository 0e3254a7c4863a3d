import { CombinedGraphQLErrors } from "@apollo/client";
import { announce } from "./announcing";
import { ask, client, refresh, socket } from "./client";
import { forget, PAGE, prepend } from "./listing";
import { ALL_EVENTS, EVENTS_URL, LIST, REQUEST_EVENTS } from "./operations";
import { noteHeard } from "./overtaken";
import { connection, estimates } from "./state";
import type { Happening } from "./types";

const PAUSES_MS = [0, 500, 1_000, 2_000, 4_000, 8_000];
const LIST_MS = 15_000;
const NAMES = [
  "image:generating", "image:completed", "image:failed", "task:updated",
  "model:generating", "model:progress", "model:completed", "model:failed",
];

/** What became of a stream: it never began, it broke off, or the server ended it. */
type End = "refused" | "broken" | "ended";

interface Following {
  requestId: string;
  cursor: number;
  heard: (event: Happening) => void;
  signal: AbortSignal;
}

socket.on("connected", () => connection("socket"));
socket.on("closed", () => connection() === "socket" && lost());
addEventListener("offline", lost);
// A socket that was open before may be dead without knowing it.
addEventListener("online", () => socket.terminate());

function lost(): void {
  connection(navigator.onLine ? "connecting" : "offline");
}

/**
 * Follow a request's events after number `after` until told to stop: over the WebSocket; by SSE while that is
 * blocked. Each new start resumes at the last number seen.
 */
export async function followRequest(requestId: string, after: number, signal: AbortSignal): Promise<void> {
  const following: Following = {
    requestId,
    cursor: after,
    signal,
    heard: (event) => {
      if (event.sequence <= following.cursor) return;
      following.cursor = event.sequence;
      noteHeard(requestId, event.sequence);
      if (event.modelId && event.estimated !== undefined) {
        estimates({ ...estimates(), [event.modelId]: event.estimated });
      }
      announce(event);
    },
  };
  for (let refusals = 0; !signal.aborted; ) {
    const end = await (refusals % 2 === 0 ? bySocket(following) : bySse(following));
    if (signal.aborted) return;
    if (end === "ended" && !(await isStillThere(requestId))) {
      forget(client.cache, requestId);
      return;
    }
    refusals = end === "refused" ? refusals + 1 : 0;
    await pause(end === "ended" ? 1_000 : PAUSES_MS[Math.min(refusals >> 1, PAUSES_MS.length - 1)]!, signal);
  }
}

/** Whether the request exists, as far as can be told. */
async function isStillThere(id: string): Promise<boolean> {
  const answer = await ask(id);
  return answer === null || answer.data?.request != null;
}

function bySocket({ requestId, cursor, heard, signal }: Following): Promise<End> {
  return new Promise((resolve) => {
    let begun = connection() === "socket";
    const finish = (end: End) => {
      signal.removeEventListener("abort", stop);
      unhear();
      subscription.unsubscribe();
      resolve(end);
    };
    const stop = () => finish("ended");
    const unhear = socket.on("connected", () => (begun = true));
    const subscription = client
      .subscribe({ query: REQUEST_EVENTS, variables: { requestId, afterSequence: cursor } })
      .subscribe({
        next: ({ data, error }) => {
          if (data) heard(data.requestEvents);
          else finish(CombinedGraphQLErrors.is(error) ? "ended" : begun ? "broken" : "refused");
        },
        error: () => finish(begun ? "broken" : "refused"),
        complete: () => finish("ended"),
      });
    signal.addEventListener("abort", stop);
  });
}

async function bySse({ requestId, cursor, heard, signal }: Following): Promise<End> {
  const url = await eventsUrl(requestId);
  if (url === null || signal.aborted) return "refused";
  url.searchParams.set("after", String(cursor));
  return new Promise((resolve) => {
    const source = new EventSource(url);
    let begun = false;
    const finish = (end: End) => {
      signal.removeEventListener("abort", stop);
      unhear();
      source.close();
      if (connection() === "sse") lost();
      resolve(end);
    };
    const stop = () => finish("ended");
    // The list goes on trying the WebSocket, and this is glad to go back to it.
    const unhear = socket.on("connected", () => finish("broken"));
    source.onopen = () => {
      begun = true;
      connection("sse");
    };
    source.onerror = () => finish(begun ? "broken" : "refused");
    for (const name of NAMES) {
      source.addEventListener(name, (message) => {
        heard({ name, ...(JSON.parse(message.data) as Omit<Happening, "name">) });
        // SSE tells what happened, not what it looks like now.
        refresh(requestId);
      });
    }
    signal.addEventListener("abort", stop);
  });
}

async function eventsUrl(id: string): Promise<URL | null> {
  const answer = await client
    .query({ query: EVENTS_URL, variables: { id }, fetchPolicy: "network-only" })
    .catch(() => null);
  const path = answer?.data?.request?.eventsUrl;
  return path ? new URL(path, location.href) : null;
}

/** Keep the list current, whichever page requests are made on: by the WebSocket, or else by asking now and then. */
export async function followAll(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    let begun = connection() === "socket";
    const unhear = socket.on("connected", () => (begun = true));
    await new Promise<void>((resolve) => {
      const subscription = client.subscribe({ query: ALL_EVENTS }).subscribe({
        next: ({ data }) => {
          if (!data) return;
          noteHeard(data.events.request.id, data.events.sequence);
          prepend(client.cache, data.events.request);
        },
        error: () => resolve(),
        complete: () => resolve(),
      });
      signal.addEventListener("abort", () => {
        subscription.unsubscribe();
        resolve();
      });
    });
    unhear();
    await pause(begun ? 1_000 : LIST_MS, signal);
    if (!signal.aborted) await askForList();
  }
}

async function askForList(): Promise<void> {
  await client.query({ query: LIST, variables: { first: PAGE }, fetchPolicy: "network-only" }).catch(() => null);
}

/** Wait, but not beyond the moment in which the network comes back or the signal is given. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}
