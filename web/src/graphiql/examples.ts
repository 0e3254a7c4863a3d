import cancel from "./examples/cancel.graphql";
import create from "./examples/create.graphql";
import remove from "./examples/delete.graphql";
import events from "./examples/events.graphql";
import follow from "./examples/follow.graphql";
import list from "./examples/list.graphql";
import queues from "./examples/queues.graphql";
import read from "./examples/read.graphql";
import retry from "./examples/retry.graphql";
import select from "./examples/select.graphql";

const requestId = "req_…";

function tab(query: string, variables?: object) {
  return { query, variables: variables ? JSON.stringify(variables, null, 2) : null };
}

/** The whole job, a tab each, in the order in which it is done. */
export const examples = [
  tab(create, { input: { prompt: "A small owl with big eyes, standing on a book", optimizePrompt: true } }),
  tab(follow, { requestId, afterSequence: 0 }),
  tab(select, { input: { requestId, index: 0, sizeMm: 80 } }),
  tab(read, { requestId }),
  tab(retry, { input: { imageId: "img_…" } }),
  tab(cancel, { input: { requestId } }),
  tab(remove, { input: { requestId } }),
  tab(list, { first: 10 }),
  tab(events),
  tab(queues),
];
