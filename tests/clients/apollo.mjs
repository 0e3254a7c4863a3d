// Apollo Client: the cache follows a subscription by itself. Usage: apollo.mjs URL multipart|websocket
import { createHash } from "node:crypto";
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { getMainDefinition } from "@apollo/client/utilities";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, transport] = process.argv.slice(2);
const requests = [];
const http = new HttpLink({
  uri: `${url}/graphql`,
  fetch: async (...given) => {
    const response = await fetch(...given);
    requests.push({ body: JSON.parse(given[1].body ?? "{}"), type: response.headers.get("content-type") });
    return response;
  },
});
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const persisted = new PersistedQueryLink({ sha256 }).concat(http);
const socket = createClient({ url: `${url.replace("http", "ws")}/graphql`, webSocketImpl: WebSocket });
const isSubscription = ({ query }) => getMainDefinition(query).operation === "subscription";
const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: ApolloLink.split(isSubscription, transport === "websocket" ? new GraphQLWsLink(socket) : http, persisted),
});

const created = await client.mutate({
  mutation: gql`mutation ($prompt: String!) {
    createRequest(input: { prompt: $prompt }) { request { id } userErrors { code } }
  }`,
  variables: { prompt: `an owl for Apollo by ${transport} delay:0=0.3 delay:1=0.4 delay:2=0.5 delay:3=0.6` },
});
const { id } = created.data.createRequest.request;

// The page watches the query. Nothing below writes to the cache.
const PAGE = gql`query Page($id: ID!) {
  request(id: $id) { id status phase images { id index imageStatus imageUrl } }
}`;
const drawn = [];
const watched = client.watchQuery({ query: PAGE, variables: { id } }).subscribe(({ data }) => {
  if (data?.request) drawn.push(data.request);
});

const EVENTS = gql`subscription ($id: ID!) {
  requestEvents(requestId: $id) {
    id sequence name
    request { id status phase }
    ... on ImageGenerating { image { id imageStatus imageUrl } }
    ... on ImageCompleted { image { id imageStatus imageUrl } }
  }
}`;
const events = [];
await new Promise((resolve, reject) => {
  const subscription = client.subscribe({ query: EVENTS, variables: { id } }).subscribe({
    next: ({ data, error }) => {
      if (error) return reject(error);
      events.push(data.requestEvents.name);
      if (data.requestEvents.request.phase === "AWAITING_SELECTION" && events.at(-1) === "task:updated") {
        subscription.unsubscribe();
        resolve();
      }
    },
    error: reject,
  });
});
const whole = () => drawn.at(-1)?.images.every((image) => image.imageStatus === "COMPLETED" && image.imageUrl);
const deadline = Date.now() + 5000;
while (!whole() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
watched.unsubscribe();
const pages = requests.filter(({ body }) => body.operationName === "Page");

const failed = await client.query({ query: gql`{ nothing }`, fetchPolicy: "network-only" }).then(
  () => null,
  (error) => error.errors?.map(({ extensions }) => extensions.code) ?? String(error),
);
console.log(
  JSON.stringify({
    drawn,
    events,
    failed,
    requests: requests.map(({ type }) => type),
    sentQueries: pages.map(({ body }) => "query" in body),
  }),
);
process.exit(0);
