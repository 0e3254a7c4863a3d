import { createGraphiQLFetcher, type Fetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { Kind, parse, type DocumentNode } from "graphql";
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
const send = createGraphiQLFetcher({ url: "/graphql", subscriptionUrl: socket.href });

// GraphiQL reads an editor a moment after it is filled. Until then, document and name are those of the tab before.
const fetcher: Fetcher = (params, options) => {
  const documentAST = parsed(params.query);
  if (!documentAST) return send(params, options);
  const names = documentAST.definitions.flatMap((definition) =>
    definition.kind === Kind.OPERATION_DEFINITION ? [definition.name?.value ?? null] : [],
  );
  const only = names.length === 1 ? { operationName: names[0]! } : {};
  return send({ ...params, ...only }, { ...options, documentAST });
};

function parsed(text: string): DocumentNode | undefined {
  try {
    return parse(text);
  } catch {
    return undefined; // the server says what is wrong with it
  }
}

function keptTabs() {
  try {
    return JSON.parse(localStorage.getItem("graphiql:tabState") ?? "null");
  } catch {
    return null; // GraphiQL begins anew as well
  }
}

const token = keptToken();
const headers = token
  ? JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2)
  : '// Where a token is needed:\n// { "Authorization": "Bearer …" }';
const tabs = examples.map((example) => ({ ...example, headers }));
// GraphiQL keeps its tabs and what its editors hold apart, each a moment later than the other: where they differed, a
// visitor who reloads would find one tab more. Its editors begin as the tab says.
const kept = keptTabs();
const active = kept?.tabs?.[kept.activeTabIndex] ?? tabs[0];

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
