import type { FailureCode, Format, ImageStatus, ListedRequest, Stage, Status } from "./types";

export const STAGES: Record<Stage, string> = {
  QUEUED: "Waiting its turn",
  GENERATING: "Shaping",
  DOWNLOADING: "Fetching",
  PREPARING: "Preparing for print",
  UPLOADING: "Storing",
};

export const PICTURE_STATES: Record<ImageStatus, string> = {
  PENDING: "Waiting",
  GENERATING: "Being drawn",
  COMPLETED: "Ready",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
};

export const FORMATS: Record<Format, { name: string; ending: string; use: string }> = {
  STL: { name: "STL", ending: "stl", use: "for any slicer" },
  THREE_MF: { name: "3MF", ending: "3mf", use: "for slicers, with units" },
  OBJ: { name: "OBJ", ending: "obj", use: "for modelling" },
  GLB: { name: "GLB", ending: "glb", use: "for screens" },
};

/** What a visitor can do about it. */
export const REMEDIES: Record<FailureCode, string> = {
  PROVIDER_UNAVAILABLE: "The service cannot be reached now: try again in a while.",
  PROVIDER_BUSY: "The service has too much to do: try again in a while.",
  PROVIDER_REJECTED: "The service will not do this one: take another picture, or other words.",
  CONTENT_REJECTED: "The service's rules forbid it: change the words.",
  PROVIDER_MISCONFIGURED: "Whoever runs this server has to put its account with the service right first.",
  OUTCOME_UNKNOWN: "It may have been made and billed all the same: to try again may cost twice.",
  TIMED_OUT: "It took too long: try again.",
  BAD_OUTPUT: "What the service sent cannot be used: try again.",
  STORAGE_UNAVAILABLE: "The files could not be stored: try again in a while.",
  INTERNAL: "That is a fault of this server: try again, and tell whoever runs it if it stays.",
};

const STATUSES: Record<Status, string> = {
  IMAGE_PENDING: "Waiting to be drawn",
  IMAGE_GENERATING: "Being drawn",
  IMAGE_COMPLETED: "Pick a picture",
  IMAGE_FAILED: "No picture came out",
  MODEL_PENDING: "Model waits its turn",
  MODEL_GENERATING: "Model being made",
  MODEL_COMPLETED: "Ready to print",
  MODEL_FAILED: "The model failed",
  CANCELLED: "Cancelled",
};

export function statusWords({ status, model }: Pick<ListedRequest, "status"> & { model?: { progress: number } | null }): string {
  return status === "MODEL_GENERATING" && model ? `${STATUSES[status]}, ${model.progress} %` : STATUSES[status];
}

const SIZES = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
const WHEN = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const number = (value: number): string => SIZES.format(value);
export const when = (moment: string): string => WHEN.format(new Date(moment));

export function bytes(count: number): string {
  if (count < 1_000) return `${count} bytes`;
  return count < 1_000_000 ? `${SIZES.format(count / 1_000)} kB` : `${SIZES.format(count / 1_000_000)} MB`;
}

const SHORT = 80;

/** The beginning of what the visitor wrote, cut between words. */
export function shortened(prompt: string): string {
  return prompt.length <= SHORT ? prompt : `${prompt.slice(0, SHORT).replace(/\s+\S*$/, "")} …`;
}

/** A file name from what the visitor wrote. */
export function fileName(prompt: string, ending: string): string {
  const stem = prompt.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60);
  return `${stem || "model"}.${ending}`;
}
