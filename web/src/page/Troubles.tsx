import { CombinedGraphQLErrors } from "@apollo/client";
import type { Failure, Job, UserError } from "./types";
import { REMEDIES } from "./words";

interface TroublesProps {
  error: Error | undefined;
  userErrors?: UserError[] | undefined;
  /** What to do when no answer came. */
  again?: string;
}

/** What went wrong with something that the visitor asked for. */
export function Troubles({ error, userErrors = [], again }: TroublesProps) {
  const messages = userErrors.map((each) => each.message);
  if (error) messages.push(words(error, again));
  return messages.length > 0 && <p role="alert" className="trouble">{messages.join(" ")}</p>;
}

function words(error: Error, again = ""): string {
  if (CombinedGraphQLErrors.is(error)) return error.errors.map((each) => each.message).join(" ");
  return `The server cannot be reached now. ${again}`;
}

/** Why an image or a model failed. */
export function FailureNote({ failure }: { failure: Failure }) {
  return <p className="trouble">{failure.message} {REMEDIES[failure.code]}</p>;
}

/** That an attempt failed and another follows, while that is so. */
export function AttemptNote({ job }: { job: Job }) {
  if (!job.failure || job.nextAttemptAt === null) return null;
  return (
    <p className="note">
      {job.failure.message} It is tried again.{job.attempts > 0 && ` Attempts so far: ${job.attempts} of ${job.maxAttempts}.`}
    </p>
  );
}
