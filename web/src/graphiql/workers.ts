import type { Environment } from "monaco-editor";

declare const EDITOR_WORKER: string;
declare const JSON_WORKER: string;
declare const GRAPHQL_WORKER: string;

const workers: Record<string, string> = { json: JSON_WORKER, graphql: GRAPHQL_WORKER };

declare global {
  interface Window {
    MonacoEnvironment?: Environment;
  }
}

/** Where the editor finds its workers: build.mjs puts the files' names in. */
window.MonacoEnvironment = {
  getWorker: (_id, label) => new Worker(workers[label] ?? EDITOR_WORKER),
} satisfies Environment;
