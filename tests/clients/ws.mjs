// graphql-ws. Usage: ws.mjs URL REQUEST_ID
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, requestId] = process.argv.slice(2);
let closes = 0;
const client = createClient({
  url: `${url.replace("http", "ws")}/graphql`,
  webSocketImpl: WebSocket,
  retryAttempts: 0,
  keepAlive: 50,
  lazy: false,
  on: { closed: () => closes++ },
});

async function all(query, variables, operationName) {
  const results = [];
  try {
    for await (const result of client.iterate({ query, variables, operationName })) {
      results.push(result);
      if (result.data?.requestEvents?.phase === "AWAITING_SELECTION") break;
    }
  } catch (errors) {
    results.push({ errors });
  }
  return results;
}

const subscription = all(
  `subscription ($id: ID!) { requestEvents(requestId: $id) { sequence name ... on TaskUpdated { phase } } }`,
  { id: requestId },
);
const syntax = await all("{ viewer {");
const invalid = await all("{ nothing }");
const unknown = await all("query A { viewer { id } }", {}, "B");
const query = await all("{ viewer { id } }");
const events = await subscription;
console.log(JSON.stringify({ events, query, syntax, invalid, unknown, closes }));
await client.dispose();
