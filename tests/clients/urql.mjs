// urql, whose Accept names text/event-stream on every request. Usage: urql.mjs URL
import { Client, fetchExchange } from "@urql/core";

const client = new Client({
  url: `${process.argv[2]}/graphql`,
  exchanges: [fetchExchange],
  fetchSubscriptions: true,
  preferGetMethod: false,
  requestPolicy: "network-only",
});

const query = await client.query("{ viewer { id } }", {});
const byGet = await client.query("{ viewer { id } }", {}, { preferGetMethod: "force" });
const invalid = await client.query("{ nothing }", {});
const created = await client.mutation(
  `mutation { createRequest(input: { prompt: "an owl for urql" }) { request { id } userErrors { code } } }`,
  {},
);
const id = created.data?.createRequest.request.id;
const events = await new Promise((resolve) => {
  const seen = [];
  const { unsubscribe } = client
    .subscription(
      `subscription ($id: ID!) { requestEvents(requestId: $id) { sequence name ... on TaskUpdated { phase } } }`,
      { id },
    )
    .subscribe((result) => {
      seen.push(result.error ? String(result.error) : result.data.requestEvents);
      if (result.error || result.data.requestEvents.phase === "AWAITING_SELECTION") {
        unsubscribe();
        resolve(seen);
      }
    });
});
const told = ({ data, error }) => ({ data, errors: error?.graphQLErrors, network: error?.networkError?.message });
console.log(JSON.stringify({ query: told(query), byGet: told(byGet), invalid: told(invalid), events }));
process.exit(0);
