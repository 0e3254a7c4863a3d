import { useState } from "react";
import { keepToken, keptToken } from "../token";
import { client, socket } from "./client";
import { needsToken } from "./state";

/** Shown when the server answers UNAUTHENTICATED. */
export function TokenForm() {
  const [token, setToken] = useState("");
  const [refused] = useState(() => keptToken() !== null);

  async function enter() {
    keepToken(token);
    socket.terminate();
    await client.clearStore();
    needsToken(false);
  }

  return (
    <form
      className="token"
      onSubmit={(event) => {
        event.preventDefault();
        void enter();
      }}
    >
      <h1>Who is there?</h1>
      <p>This server wants a token. It is kept in this browser tab only, until you close it.</p>
      {refused && <p role="alert" className="trouble">The token was not accepted. It may have expired.</p>}
      <label htmlFor="token">Token</label>
      <input
        id="token"
        type="password"
        autoComplete="off"
        required
        autoFocus
        value={token}
        onChange={(event) => setToken(event.target.value)}
      />
      <button className="main">Go on</button>
    </form>
  );
}
