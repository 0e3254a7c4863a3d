import { useMutation } from "@apollo/client/react";
import { useState } from "react";
import { useTakenBack } from "./answers";
import { client } from "./client";
import { rewrite } from "./draft";
import { IMAGE, RETRY, SELECT } from "./operations";
import { AttemptNote, FailureNote, Troubles } from "./Troubles";
import type { Image, ImageStatus, ModelStatus, Request } from "./types";
import { PICTURE_STATES, shortened } from "./words";

const ACTIVE: ModelStatus[] = ["PENDING", "GENERATING"];

interface PicturesProps {
  request: Request;
  refresh: () => void;
  onMade: (modelId: string) => void;
}

export function Pictures({ request, refresh, onMade }: PicturesProps) {
  const made = request.models[0];
  const [choice, setChoice] = useState<{ index: number; after: string | undefined } | null>(null);
  const [size, setSize] = useState(String(made?.sizeMm ?? 100));
  const [select, selecting] = useMutation(SELECT);
  const { loading, error, data } = selecting;
  // That a model is being made is true until it has ended.
  const ended = request.models.filter((model) => !ACTIVE.includes(model.status)).length;
  useTakenBack(selecting, `${ended} ${request.phase === "CANCELLED"}`);
  const isOpen = request.phase !== "CANCELLED" && request.phase !== "MODEL_GENERATION";
  // A model begun since, here or on another page, takes the choice's place.
  const picked = choice && choice.after === made?.id ? choice.index : (made?.sourceImage.index ?? null);
  const isReady = request.images.some((image) => image.index === picked && image.imageStatus === "COMPLETED");
  const noneCameOut = request.images.every((image) => image.imageStatus === "FAILED");
  const isRefused = request.images.some((image) => image.failure?.code === "CONTENT_REJECTED");

  async function make() {
    const input = { requestId: request.id, index: picked!, sizeMm: Number(size) };
    const answer = await select({ variables: { input } }).catch(() => null);
    const begun = answer?.data?.selectImage.request?.models[0];
    if (begun) onMade(begun.id);
  }

  return (
    <form
      className="pictures"
      data-compact={made !== undefined}
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady && !loading) void make();
      }}
    >
      <fieldset>
        <legend>{isOpen ? invitation(request) : "The pictures"}</legend>
        <div className="grid">
          {request.images.map((image) => (
            <Picture
              key={image.id}
              image={image}
              prompt={request.originalPrompt}
              picked={image.index === picked}
              open={isOpen}
              onPick={() => setChoice({ index: image.index, after: made?.id })}
              refresh={refresh}
            />
          ))}
        </div>
      </fieldset>
      <ul className="notes">
        {request.images.map((image) => (
          <PictureNote key={image.id} image={image} cancelled={request.phase === "CANCELLED"} />
        ))}
      </ul>
      {noneCameOut && <p className="note">None of the four came out. Try one of them again, or write it another way.</p>}
      {(noneCameOut || isRefused) && (
        <p><button type="button" onClick={() => rewrite(request.originalPrompt)}>New request with these words</button></p>
      )}
      {isOpen && !noneCameOut && (
        <div className="size">
          <label htmlFor="size">Longest side</label>
          <span className="millimetres">
            <input
              id="size"
              type="number"
              inputMode="decimal"
              min={1}
              max={2000}
              step="any"
              required
              value={size}
              onChange={(event) => setSize(event.target.value)}
            />
            mm
          </span>
          <button className={made ? undefined : "main"} disabled={!isReady || loading}>
            {picked === null ? "Pick a picture first" : `Make picture ${picked + 1} in 3D`}
          </button>
        </div>
      )}
      <Troubles error={error} userErrors={data?.selectImage.userErrors} again="Press again when the page is live." />
    </form>
  );
}

function invitation({ images, models }: Request): string {
  const isIn = (...states: ImageStatus[]) => images.some((image) => states.includes(image.imageStatus));
  if (isIn("COMPLETED")) return models.length > 0 ? "Pick a picture for one more model" : "Pick a picture";
  return isIn("PENDING", "GENERATING") ? "The pictures are on their way" : "The pictures";
}

interface PictureProps {
  image: Image;
  prompt: string;
  picked: boolean;
  open: boolean;
  onPick: () => void;
  refresh: () => void;
}

const nameOf = (image: Image): string => `Picture ${image.index + 1}`;

function Picture({ image, prompt, picked, open, onPick, refresh }: PictureProps) {
  const [broken, setBroken] = useState<string | null>(null);
  const isReady = image.imageStatus === "COMPLETED";
  return (
    <label className="picture" data-status={image.imageStatus} data-picked={picked}>
      <input
        type="radio"
        name="picture"
        aria-labelledby={`caption-${image.index}`}
        value={image.index}
        checked={picked}
        disabled={!open || !isReady}
        onChange={onPick}
      />
      <span className="frame" aria-hidden={!isReady}>
        {image.imageUrl && (
          <img
            src={image.imageUrl}
            alt={`${nameOf(image)}: ${shortened(prompt)}`}
            onError={() => {
              // A link that has expired: there is a new one for the asking, once.
              if (broken !== image.imageUrl) refresh();
              setBroken(image.imageUrl);
            }}
          />
        )}
      </span>
      <span className="caption" id={`caption-${image.index}`}>{nameOf(image)} <span className="state">{PICTURE_STATES[image.imageStatus]}</span></span>
    </label>
  );
}

/** Keep what a retry was answered, unless the events that followed on it were faster. */
function keepUnlessMoved(image: Image): void {
  client.cache.updateFragment<Image>(
    { id: client.cache.identify({ ...image })!, fragment: IMAGE, fragmentName: "ImageFields" },
    (kept) => (kept?.imageStatus === "FAILED" ? image : undefined),
  );
}

/** What there is to say about a picture that is not coming along, or not at once. */
function PictureNote({ image, cancelled }: { image: Image; cancelled: boolean }) {
  const [retry, retrying] = useMutation(RETRY, {
    variables: { input: { imageId: image.id } },
    fetchPolicy: "no-cache",
    onCompleted: ({ retryImage }) => retryImage.image && keepUnlessMoved(retryImage.image),
  });
  const { loading, error, data } = retrying;
  useTakenBack(retrying, image.imageStatus);
  const failed = image.imageStatus === "FAILED";
  const waits = image.imageStatus === "GENERATING" && image.job.failure !== null && image.job.nextAttemptAt !== null;
  if (!failed && !waits) return null;
  return (
    <li>
      <b>{nameOf(image)}</b>
      {waits && <AttemptNote job={image.job} />}
      {failed && image.failure && <FailureNote failure={image.failure} />}
      {failed && !cancelled && (
        <button type="button" disabled={loading} onClick={() => void retry().catch(() => null)}>
          Try {nameOf(image).toLowerCase()} again
        </button>
      )}
      <Troubles error={error} userErrors={data?.retryImage.userErrors} again="Press again when the page is live." />
    </li>
  );
}
