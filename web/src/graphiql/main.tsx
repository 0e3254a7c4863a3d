import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";
import "graphiql/style.css";
import { keptToken } from "../token";
import { examples } from "./examples";
import { Opening } from "./Opening";
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
// GraphiQL keeps its tabs and what its editors hold apart, each a moment later than the other: where they differed, a
// visitor who reloads would find one tab more. Its editors begin as the tab says.
const kept = JSON.parse(localStorage.getItem("graphiql:tabState") ?? "null");
const active = kept?.tabs[kept.activeTabIndex] ?? tabs[0];

const root = document.getElementById("graphiql")!;
createRoot(root).render(
  <GraphiQL
    fetcher={fetcher}
    defaultTabs={tabs}
    defaultHeaders={headers}
    initialQuery={active.query ?? ""}
    initialVariables={active.variables ?? ""}
    shouldPersistHeaders={false}
    defaultEditorToolsVisibility="variables"
  >
    <GraphiQL.Logo>
      <a className="home" href="/">Maquette</a>
    </GraphiQL.Logo>
    <Opening of={root} />
  </GraphiQL>,
);
