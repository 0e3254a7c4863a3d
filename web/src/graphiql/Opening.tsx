import { useGraphiQL } from "@graphiql/react";
import { useEffect } from "react";

/** Opens the page to the visitor once its editors are loaded: GraphiQL drops what is clicked before. */
export function Opening({ of: page }: { of: HTMLElement }) {
  const loaded = useGraphiQL(({ queryEditor, variableEditor, headerEditor, responseEditor }) =>
    Boolean(queryEditor && variableEditor && headerEditor && responseEditor),
  );
  useEffect(() => {
    page.inert = !loaded;
    page.ariaBusy = String(!loaded);
  }, [page, loaded]);
  return null;
}
