import { ApolloLink } from "@apollo/client";
import { tap } from "rxjs";

const heard = new Map<string, number>();

/** Note the newest event of a request that the page knows of. */
export function noteHeard(requestId: string, sequence: number): void {
  heard.set(requestId, Math.max(sequence, heard.get(requestId) ?? 0));
}

/** An answer may come after events that followed on it: `ask` is called for each request that it puts back. */
export function whenOvertaken(ask: (requestId: string) => void): ApolloLink {
  return new ApolloLink((operation, forward) =>
    forward(operation).pipe(
      tap(({ data }) => {
        for (const { id, lastEventSequence } of requestsIn(data)) {
          if (lastEventSequence < (heard.get(id) ?? 0)) ask(id);
        }
      }),
    ),
  );
}

function* requestsIn(value: unknown): Generator<{ id: string; lastEventSequence: number }> {
  if (typeof value !== "object" || value === null) return;
  if ("lastEventSequence" in value) yield value as { id: string; lastEventSequence: number };
  else for (const part of Object.values(value)) yield* requestsIn(part);
}
