// graphql-sse in distinct connections mode. Usage: sse.mjs URL REQUEST_ID
import { createClient } from "graphql-sse";

const [url, requestId] = process.argv.slice(2);
const client = createClient({ url: `${url}/graphql`, retryAttempts: 0 });

async function all(query, variables) {
  const results = [];
  for await (const result of client.iterate({ query, variables })) {
    results.push(result);
    if (result.data?.requestEvents?.phase === "AWAITING_SELECTION") break;
  }
  return results;
}

const events = await all(
  `subscription ($id: ID!) { requestEvents(requestId: $id) { sequence name ... on TaskUpdated { phase } } }`,
  { id: requestId },
);
const query = await all("{ viewer { id } }");
const invalid = await all("{ nothing }");
const notFound = await all(`subscription { requestEvents(requestId: "req_nothing") { id } }`);
console.log(JSON.stringify({ events, query, invalid, notFound }));
client.dispose();
