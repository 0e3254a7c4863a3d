import { useMutation } from "@apollo/client/react";
import { useEffect, useState } from "react";
import { useTakenBack } from "./answers";
import { draft, keyFor, keep } from "./draft";
import { prepend } from "./listing";
import { CREATE } from "./operations";
import { go } from "./place";
import { StandIns } from "./StandIns";
import { Troubles } from "./Troubles";

const LONGEST = 2_000;
const IDEAS = ["A small owl with big eyes, standing on a book", "A chubby dragon", "A tall lighthouse"];

export function Composer() {
  const [{ prompt, optimizePrompt }, setDraft] = useState(draft);
  const [create, creating] = useMutation(CREATE, {
    update: (cache, { data }) => {
      if (data?.createRequest.request) prepend(cache, data.createRequest.request);
    },
  });
  const { loading, error, data } = creating;
  useTakenBack(creating, `${prompt} ${optimizePrompt}`);
  useEffect(() => keep({ prompt, optimizePrompt }), [prompt, optimizePrompt]);
  useEffect(() => {
    document.title = "Maquette";
  }, []);

  async function submit() {
    const input = { prompt, optimizePrompt };
    const answer = await create({ variables: { input: { ...input, idempotencyKey: keyFor(input) } } }).catch(() => null);
    const request = answer?.data?.createRequest.request;
    if (!request) return;
    keep(null);
    go(request.id);
  }

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        if (!loading) void submit();
      }}
    >
      <h1>What shall we make?</h1>
      <p className="lead">Say it in a sentence. You get four pictures, pick one, and it becomes a model for your 3D printer.</p>
      <label htmlFor="prompt" className="unseen">Your words</label>
      <textarea
        id="prompt"
        rows={4}
        required
        autoFocus={prompt !== ""}
        maxLength={LONGEST}
        placeholder="A small owl reading a book, sitting on three old volumes"
        value={prompt}
        onChange={(event) => setDraft({ prompt: event.target.value, optimizePrompt })}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.form?.requestSubmit();
        }}
      />
      <div className="below">
        <label className="check">
          <input
            type="checkbox"
            checked={optimizePrompt}
            onChange={(event) => setDraft({ prompt, optimizePrompt: event.target.checked })}
          />
          Improve my words for printing
        </label>
        <button className="main" disabled={loading || !prompt.trim()}>{loading ? "One moment …" : "Draw four pictures"}</button>
      </div>
      <Troubles error={error} userErrors={data?.createRequest.userErrors} again="Your words are kept. Press again when the page is live: nothing is made twice." />
      <div className="ideas">
        <h2>Or begin with one of these</h2>
        <ul>
          {IDEAS.map((idea) => (
            <li key={idea}>
              <button type="button" onClick={() => setDraft({ prompt: idea, optimizePrompt })}>{idea}</button>
            </li>
          ))}
        </ul>
      </div>
      <StandIns />
    </form>
  );
}
