import { useMutation, useQuery } from "@apollo/client/react";
import { useEffect, useRef, useState } from "react";
import { useIsLive, useTakenBack } from "./answers";
import { followRequest } from "./following";
import { forget } from "./listing";
import { ModelView } from "./ModelView";
import { CANCEL, DELETE, REQUEST } from "./operations";
import { Pictures } from "./Pictures";
import { go, Place } from "./place";
import { StandIns } from "./StandIns";
import { Troubles } from "./Troubles";
import type { Request } from "./types";
import { statusWords, when } from "./words";

const ACTIVE = ["IMAGE_GENERATION", "MODEL_GENERATION"];
// Attempts that will be repeated are no events: they are asked for.
const POLL_MS = 15_000;

export function RequestView({ id }: { id: string }) {
  const { data, error, refetch, startPolling, stopPolling } = useQuery(REQUEST, {
    variables: { id },
    fetchPolicy: "cache-and-network",
    nextFetchPolicy: "cache-first",
  });
  const request = data?.request;
  const refresh = () => void refetch().catch(() => null);
  const isThere = request != null;
  const isActive = isThere && ACTIVE.includes(request.phase);

  useEffect(() => {
    if (!isThere) return;
    const stop = new AbortController();
    // The newest event once more: if it is of a model's progress, it says whether that is an estimate.
    void followRequest(id, Math.max(0, request.lastEventSequence - 1), stop.signal);
    return () => stop.abort();
    // The list may have brought that number alone: what belongs to it comes with the answer that is asked for now.
    // Where to begin is asked once; from there on, the following has its own cursor.
  }, [id, isThere]);

  useEffect(() => {
    if (isActive) startPolling(POLL_MS);
    return stopPolling;
  }, [isActive, startPolling, stopPolling]);

  const isLive = useIsLive();
  useEffect(() => {
    if (isLive && error) refresh();
  }, [isLive]);

  useEffect(() => {
    // Links to files expire; who comes back to the page after a while finds new ones.
    const seen = () => document.visibilityState === "visible" && refetch().catch(() => null);
    document.addEventListener("visibilitychange", seen);
    return () => document.removeEventListener("visibilitychange", seen);
  }, [refetch]);

  useEffect(() => {
    if (request) document.title = `${statusWords({ ...request, model: request.models[0] ?? null })}: ${request.originalPrompt.slice(0, 40)} – Maquette`;
  });

  if (request) return <Found request={request} refresh={refresh} />;
  if (request === null) return <Gone />;
  if (!error) return <p className="note" role="status">One moment …</p>;
  return (
    <div>
      <Troubles error={error} />
      <button onClick={refresh}>Try again</button>
    </div>
  );
}

function Gone() {
  return (
    <div className="gone">
      <h1>There is no such request</h1>
      <p>It may have been deleted, or it belongs to somebody else.</p>
      <Place to={null} className="button">Make something new</Place>
    </div>
  );
}

// As a heading, more than this is cut.
const LONG = 160;

function Found({ request, refresh }: { request: Request; refresh: () => void }) {
  const [shown, setShown] = useState<string | null>(null);
  const [begun, setBegun] = useState<string | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const model = request.models.find((each) => each.id === shown) ?? request.models[0];
  useEffect(() => {
    // The button that had the focus is gone.
    if (begun === null || begun !== model?.id) return;
    heading.current?.focus();
    setBegun(null);
  }, [begun, model?.id]);
  const isLong = request.originalPrompt.length > LONG;
  return (
    <article className="found">
      <div className="title">
        <Place to={null} className="button anew">New request</Place>
        <h1 className={isLong ? "long" : undefined}>{request.originalPrompt}</h1>
        <p className="meta">
          <span className="status" data-phase={request.phase}>{statusWords({ ...request, model: request.models[0] ?? null })}</span>
          <time dateTime={request.createdAt}>{when(request.createdAt)}</time>
        </p>
        {isLong && (
          <details>
            <summary>All of your words</summary>
            <p>{request.originalPrompt}</p>
          </details>
        )}
        {request.prompt !== request.originalPrompt && (
          <details>
            <summary>Words that the pictures are drawn from</summary>
            <p>{request.prompt}</p>
          </details>
        )}
        <Cancel request={request} />
      </div>
      <Pictures
        request={request}
        refresh={refresh}
        onMade={(id) => {
          setShown(null);
          setBegun(id);
        }}
      />
      {request.models.length > 1 && (
        <fieldset className="models">
          <legend>Models made</legend>
          {request.models.map((each, place) => (
            <label key={each.id}>
              <input type="radio" name="model" checked={each === model} onChange={() => setShown(each.id)} />
              <span>Model {request.models.length - place}: picture {each.sourceImage.index + 1}, {each.sizeMm} mm</span>
            </label>
          ))}
        </fieldset>
      )}
      {model && <ModelView key={model.id} heading={heading} model={model} refresh={refresh} />}
      <Delete request={request} />
      <StandIns />
    </article>
  );
}

function Cancel({ request }: { request: Request }) {
  const [cancel, cancelling] = useMutation(CANCEL, { variables: { input: { requestId: request.id } } });
  useTakenBack(cancelling, request.phase);
  return (
    <>
      {[...ACTIVE, "AWAITING_SELECTION"].includes(request.phase) && (
        <p className="actions">
          <button disabled={cancelling.loading} onClick={() => void cancel().catch(() => null)}>Cancel</button>
        </p>
      )}
      <Troubles error={cancelling.error} userErrors={cancelling.data?.cancelRequest.userErrors} again="Press Cancel again when the page is live." />
    </>
  );
}

function Delete({ request }: { request: Request }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [remove, removing] = useMutation(DELETE, { variables: { input: { requestId: request.id } } });
  useTakenBack(removing, request.phase);

  async function confirmed() {
    dialog.current?.close();
    const answer = await remove().catch(() => null);
    if (!answer?.data?.deleteRequest.deletedRequestId) return;
    go(null);
    forget(removing.client.cache, request.id);
  }

  return (
    <div className="ending">
      <p className="actions">
        <button className="danger" disabled={removing.loading} onClick={() => dialog.current?.showModal()}>Delete</button>
      </p>
      <Troubles error={removing.error} userErrors={removing.data?.deleteRequest.userErrors} again="Press Delete again when the page is live." />
      <dialog ref={dialog} aria-labelledby="delete-title">
        <h2 id="delete-title">Delete this request?</h2>
        <p>Its pictures, its models and their files go with it. This cannot be undone.</p>
        <p className="actions">
          <button onClick={() => dialog.current?.close()}>Keep it</button>
          <button className="danger main" onClick={() => void confirmed()}>Delete</button>
        </p>
      </dialog>
    </div>
  );
}
