import { announcement, estimates } from "./state";
import type { Happening } from "./types";
import { STAGES } from "./words";

const STEP = 25;
let said = "";

/** Tell a screen reader what an event means; of progress, each new stage and each quarter. */
export function announce(event: Happening): void {
  const words = sentence(event);
  if (words && words !== said) announcement((said = words));
}

function sentence(event: Happening): string | null {
  const picture = `Picture ${(event.index ?? 0) + 1}`;
  switch (event.name) {
    case "image:completed":
      return `${picture} is ready.`;
    case "image:failed":
      return `${picture} failed: ${event.errorMessage}`;
    case "model:progress": {
      const reached = Math.floor((event.progress ?? 0) / STEP) * STEP;
      const estimated = estimates()[event.modelId ?? ""] ? ", estimated" : "";
      return `Model: ${STAGES[event.stage ?? "QUEUED"].toLowerCase()}, over ${reached} per cent${estimated}.`;
    }
    case "model:completed":
      return "The model is ready.";
    case "model:failed":
      return `The model failed: ${event.errorMessage}`;
    case "task:updated":
      return event.phase === "CANCELLED" ? "The request was cancelled." : null;
    default:
      return null;
  }
}
