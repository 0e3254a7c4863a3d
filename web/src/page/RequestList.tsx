import { useQuery } from "@apollo/client/react";
import { useEffect, useRef, useState } from "react";
import { PAGE } from "./listing";
import { LIST } from "./operations";
import { Place } from "./place";
import { Troubles } from "./Troubles";
import type { ListedRequest } from "./types";
import { statusWords, when } from "./words";

export function RequestList({ current }: { current: string | null }) {
  const { data, error, loading, fetchMore } = useQuery(LIST, {
    variables: { first: PAGE },
    fetchPolicy: "cache-and-network",
    nextFetchPolicy: "cache-first",
    notifyOnNetworkStatusChange: true,
  });
  const list = data?.requests;
  const entries = useRef<HTMLOListElement>(null);
  const [seen, setSeen] = useState<number | null>(null);
  const count = list?.edges.length ?? 0;
  useEffect(() => {
    // The button that had the focus may be gone.
    if (seen === null || count <= seen) return;
    entries.current?.children[seen]?.querySelector("a")?.focus();
    setSeen(null);
  }, [seen, count]);

  async function more() {
    const after = list?.pageInfo.endCursor ?? null;
    if (await fetchMore({ variables: { first: PAGE, after } }).catch(() => null)) setSeen(count);
  }

  return (
    <aside aria-labelledby="earlier">
      <div className="head">
        <h2 id="earlier">Your requests</h2>
        {current !== null && <Place to={null} className="new">New</Place>}
      </div>
      {list?.edges.length === 0 && <p className="note">Nothing yet. What you ask for stays here.</p>}
      {!list && error && <Troubles error={error} />}
      <ol ref={entries}>
        {list?.edges.map(({ node }) => (
          <li key={node.id}>
            <Place to={node.id} current={node.id === current} className="request">
              <Thumbnail request={node} />
              <span className="what">{node.originalPrompt}</span>
              <span className="state">{statusWords(node)}</span>
              <time dateTime={node.createdAt}>{when(node.createdAt)}</time>
            </Place>
          </li>
        ))}
      </ol>
      {list?.pageInfo.hasNextPage && (
        <button className="more" disabled={loading} onClick={() => void more()}>{loading ? "One moment …" : "Show more"}</button>
      )}
    </aside>
  );
}

function Thumbnail({ request }: { request: ListedRequest }) {
  const url = request.model?.previewImageUrl ?? request.images.find((image) => image.imageUrl)?.imageUrl;
  return <span className="thumbnail">{url && <img src={url} alt="" loading="lazy" />}</span>;
}
