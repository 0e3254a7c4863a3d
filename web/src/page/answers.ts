import { useReactiveVar } from "@apollo/client/react";
import { useEffect } from "react";
import { connection, latestAction } from "./state";

/** Takes an action's answer back once another begins, the state it speaks of has changed, or the page is live again. */
export function useTakenBack({ loading, reset }: { loading: boolean; reset: () => void }, state: unknown): void {
  const action = useReactiveVar(latestAction);
  const isLive = useIsLive();
  useEffect(() => {
    if (loading) latestAction(Symbol("action"));
  }, [loading]);
  // Not when it is answered: the answer is to be read.
  useEffect(() => {
    if (!loading) reset();
  }, [action, state]);
  useEffect(() => {
    if (isLive && !loading) reset();
  }, [isLive]);
}

export function useIsLive(): boolean {
  return ["socket", "sse"].includes(useReactiveVar(connection));
}
