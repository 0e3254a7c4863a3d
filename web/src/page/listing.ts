import type { ApolloCache, FieldPolicy, Reference } from "@apollo/client";
import { LIST } from "./operations";
import type { ListedRequest } from "./types";

export const PAGE = 12;

interface Page {
  edges: { node: Reference }[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

/** All pages that were asked for as one list, newest first: ids sort by time. */
export const requests: FieldPolicy<Page> = {
  keyArgs: false,
  merge(known, incoming, { args, readField }) {
    const edges = new Map([...(known?.edges ?? []), ...incoming.edges].map((edge) => [readField<string>("id", edge.node)!, edge]));
    return {
      ...incoming,
      edges: [...edges].sort(([a], [b]) => (a < b ? 1 : -1)).map(([, edge]) => edge),
      pageInfo: known && !args?.["after"] ? known.pageInfo : incoming.pageInfo,
    };
  },
  read: (known, { canRead }) => known && { ...known, edges: known.edges.filter((edge) => canRead(edge.node)) },
};

/** Put a request that was made just now, here or on another page, into the list. */
export function prepend(cache: ApolloCache, node: ListedRequest): void {
  cache.updateQuery({ query: LIST, variables: { first: PAGE } }, (list) => {
    if (!list || list.requests.edges.some((edge) => edge.node.id === node.id)) return list;
    return { requests: { ...list.requests, edges: [{ __typename: "GenerationRequestEdge", cursor: "", node }, ...list.requests.edges] } };
  });
}

/** Drop a request that was deleted, here or on another page. */
export function forget(cache: ApolloCache, id: string): void {
  cache.evict({ id: cache.identify({ __typename: "GenerationRequest", id })! });
  cache.gc();
}
