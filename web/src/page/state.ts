import { makeVar } from "@apollo/client";

/** How news reaches the page. */
export type Connection = "connecting" | "socket" | "sse" | "offline";

export const connection = makeVar<Connection>("connecting");

/** The action that the visitor began last. */
export const latestAction = makeVar<symbol | null>(null);

/** Whether the server will not say anything without a token. */
export const needsToken = makeVar(false);

/** By model: whether its progress is an estimate, as the last event had it. */
export const estimates = makeVar<Record<string, boolean>>({});

/** What a screen reader is told. */
export const announcement = makeVar("");
