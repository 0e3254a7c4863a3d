import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";
import "graphiql/style.css";
import { keptToken } from "../token";
import { examples } from "./examples";
import "./style.css";
import "./workers";

const socket = new URL("/graphql", location.href);
socket.protocol = location.protocol.replace("http", "ws");

// The headers editor's headers go with every HTTP request, and as `connection_init`'s payload on the WebSocket.
const fetcher = createGraphiQLFetcher({ url: "/graphql", subscriptionUrl: socket.href });

const token = keptToken();
const headers = token
  ? JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2)
  : '// Where a token is needed:\n// { "Authorization": "Bearer …" }';
const tabs = examples.map((example) => ({ ...example, headers }));
// GraphiQL shows the first tab without its variables unless they are given once more; later visits have their own.
const first = localStorage.getItem("graphiql:tabState") ? {} : { initialVariables: tabs[0]?.variables ?? "" };

createRoot(document.getElementById("graphiql")!).render(
  <GraphiQL
    fetcher={fetcher}
    defaultTabs={tabs}
    defaultHeaders={headers}
    {...first}
    defaultEditorToolsVisibility="variables"
  >
    <GraphiQL.Logo>
      <a className="home" href="/">Maquette</a>
    </GraphiQL.Logo>
  </GraphiQL>,
);
