import { useReactiveVar } from "@apollo/client/react";
import { useEffect } from "react";
import { forgetToken, keptToken } from "../token";
import { client } from "./client";
import { Composer } from "./Composer";
import { followAll } from "./following";
import { Place, usePlace } from "./place";
import { RequestList } from "./RequestList";
import { RequestView } from "./RequestView";
import { announcement, connection, needsToken, type Connection } from "./state";
import { TokenForm } from "./TokenForm";

const CONNECTIONS: Record<Connection, string> = {
  connecting: "Connecting …",
  socket: "Live",
  sse: "Live, by event stream",
  offline: "No network: it goes on as soon as there is one",
};

export function App() {
  const id = usePlace();
  const locked = useReactiveVar(needsToken);
  useEffect(() => {
    if (locked) return;
    const stop = new AbortController();
    void followAll(stop.signal);
    return () => stop.abort();
  }, [locked]);

  return (
    <>
      <a className="skip" href="#main">To the content</a>
      <Header />
      {locked ? (
        <main id="main" className="alone"><TokenForm /></main>
      ) : (
        <div className="columns">
          <main id="main" tabIndex={-1}>{id === null ? <Composer /> : <RequestView key={id} id={id} />}</main>
          <RequestList current={id} />
        </div>
      )}
      <Announcer />
    </>
  );
}

function Header() {
  const state = useReactiveVar(connection);
  const locked = useReactiveVar(needsToken);
  return (
    <header>
      <Place to={null} className="wordmark">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path className="top" d="M16 2 29 9.5 16 17 3 9.5z" />
          <path className="left" d="M3 12v11l11.5 7V19z" />
          <path className="right" d="M29 12v11l-11.5 7V19z" />
        </svg>
        Maquette
      </Place>
      {!locked && <p className="connection" role="status" data-state={state}>{CONNECTIONS[state]}</p>}
      <nav aria-label="Elsewhere">
        {!locked && keptToken() && <button className="plain" onClick={leave}>Forget the token</button>}
        <a href="/graphql">API</a>
      </nav>
    </header>
  );
}

function leave(): void {
  forgetToken();
  needsToken(true);
  void client.clearStore();
}

function Announcer() {
  return <p className="unseen" aria-live="polite">{useReactiveVar(announcement)}</p>;
}
