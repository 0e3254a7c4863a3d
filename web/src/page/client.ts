import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, ServerError } from "@apollo/client";
import { SetContextLink } from "@apollo/client/link/context";
import { ErrorLink } from "@apollo/client/link/error";
import { RetryLink } from "@apollo/client/link/retry";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import { OperationTypeNode } from "graphql";
import { timeout } from "rxjs";
import { keptToken } from "../token";
import { requests } from "./listing";
import { REQUEST } from "./operations";
import { whenOvertaken } from "./overtaken";
import { needsToken } from "./state";

const CONNECT_MS = 5_000;
const PING_MS = 15_000;
// The server gives an operation up after 30 s by default.
const ANSWER_MS = 40_000;
// A server that goes on answering with what was is not to be asked without a pause.
const AGAIN_MS = 200;
const REFUSED = [4401, 4403];

const address = new URL("/graphql", location.href);
address.protocol = location.protocol.replace("http", "ws");

let connecting: ReturnType<typeof setTimeout> | undefined;
let answering: ReturnType<typeof setTimeout> | undefined;

/** The WebSocket. Who follows a stream comes back by its own cursor, so that this never does by itself. */
export const socket = createClient({
  url: address.href,
  retryAttempts: 0,
  keepAlive: PING_MS,
  lazyCloseTimeout: 2_000,
  connectionParams: () => authorization(),
  on: {
    // What blocks WebSockets may just never answer; and what is cut off in mid-air says nothing either.
    connecting: () => (connecting = setTimeout(() => socket.terminate(), CONNECT_MS)),
    connected: () => clearTimeout(connecting),
    ping: (received) => {
      if (!received) answering = setTimeout(() => socket.terminate(), CONNECT_MS);
    },
    pong: (received) => {
      if (received) clearTimeout(answering);
    },
    closed: (event) => {
      clearTimeout(connecting);
      clearTimeout(answering);
      if (event instanceof CloseEvent && REFUSED.includes(event.code)) needsToken(true);
    },
  },
});

function authorization(): Record<string, string> {
  const token = keptToken();
  return token ? { authorization: `Bearer ${token}` } : {};
}

function isUnauthenticated(error: unknown): boolean {
  if (ServerError.is(error)) return error.statusCode === 401;
  return CombinedGraphQLErrors.is(error) && error.errors.some((each) => each.extensions?.code === "UNAUTHENTICATED");
}

const http = ApolloLink.from([
  whenOvertaken((id) => setTimeout(refresh, AGAIN_MS, id)),
  // While one question is open, Apollo Client shows nothing new of what it is about.
  new ApolloLink((operation, forward) => forward(operation).pipe(timeout(ANSWER_MS))),
  new ErrorLink(({ error }) => {
    if (isUnauthenticated(error)) needsToken(true);
  }),
  new RetryLink({
    delay: { initial: 400, max: 5_000, jitter: true },
    attempts: {
      max: 6,
      // Reading may be repeated. What changes something is the visitor's to repeat.
      retryIf: (error, operation) =>
        operation.operationType === OperationTypeNode.QUERY &&
        !CombinedGraphQLErrors.is(error) &&
        !(ServerError.is(error) && error.statusCode < 500),
    },
  }),
  new SetContextLink(({ headers }) => ({ headers: { ...headers, ...authorization() } })),
  new HttpLink({ uri: "/graphql" }),
]);

export const client = new ApolloClient({
  link: ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(socket),
    http,
  ),
  cache: new InMemoryCache({
    possibleTypes: {
      RequestEvent: [
        "ImageGenerating", "ImageCompleted", "ImageFailed", "TaskUpdated",
        "ModelGenerating", "ModelProgress", "ModelCompleted", "ModelFailed",
      ],
    },
    typePolicies: {
      Query: {
        fields: {
          requests,
          // What the list or a mutation has brought already is shown at once.
          request: (known, { args, toReference }) =>
            known === undefined ? toReference({ __typename: "GenerationRequest", id: args?.["id"] }) : known,
        },
      },
    },
  }),
});

/** Ask for all of a request, whatever is asked already: that may be answered with what was. Null if there is no answer. */
export function ask(id: string) {
  return client
    .query({ query: REQUEST, variables: { id }, fetchPolicy: "network-only", context: { queryDeduplication: false } })
    .catch(() => null);
}

const asking = new Map<string, "once" | "again">();

/** Have the whole request asked for, one question at a time. */
export function refresh(id: string): void {
  if (asking.has(id)) {
    asking.set(id, "again");
    return;
  }
  asking.set(id, "once");
  void ask(id).then(() => {
    const again = asking.get(id) === "again";
    asking.delete(id);
    if (again) refresh(id);
  });
}
