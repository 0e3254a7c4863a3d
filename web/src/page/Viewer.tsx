import { useEffect, useRef, useState } from "react";
import { show, squareMm, type Scene } from "./scene";

interface ViewerProps {
  url: string;
  sizeMm: number;
  name: string;
  preview: string | null;
  refresh: () => void;
}

/** The model to be turned; its preview where the browser has no WebGL. */
export default function Viewer({ url, sizeMm, name, preview, refresh }: ViewerProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const scene = useRef<Scene | null>(null);
  const [state, setState] = useState<"loading" | "shown" | "flat" | "failed">("loading");
  // A link is new every hour, and the model behind it the same.
  const [address, setAddress] = useState(url);

  useEffect(() => {
    let stopped = false;
    setState("loading");
    show(canvas.current!, address, sizeMm)
      .then((shown) => {
        if (stopped) return shown?.remove();
        scene.current = shown;
        setState(shown ? "shown" : "flat");
      })
      .catch(() => !stopped && setState("failed"));
    return () => {
      stopped = true;
      scene.current?.remove();
      scene.current = null;
    };
  }, [address, sizeMm]);

  return (
    <figure className="viewer" data-state={state}>
      <canvas
        ref={canvas}
        tabIndex={0}
        role="img"
        aria-label={`The model in three dimensions: ${name}`}
        aria-describedby="turning"
        onKeyDown={(event) => {
          if (scene.current?.key(event.key)) event.preventDefault();
        }}
      />
      {state === "loading" && <p className="note" role="status">Loading the model …</p>}
      {(state === "flat" || state === "failed") && preview && <img src={preview} alt={`The model: ${name}`} />}
      {state === "flat" && <p className="note">This browser shows nothing in 3D, so here is a picture of it.</p>}
      {state === "failed" && (
        <p className="note">
          The model could not be loaded.{" "}
          <button
            onClick={() => {
              refresh();
              setAddress(url === address ? `${url}#again` : url);
            }}
          >
            Try again
          </button>
        </p>
      )}
      {state === "shown" && (
        <figcaption>
          <span id="turning">Drag to turn; scroll or pinch to come closer. The arrow keys, + and − do the same. A square is {squareMm(sizeMm)} mm.</span>
          <button onClick={() => scene.current?.reset()}>Reset the view</button>
        </figcaption>
      )}
    </figure>
  );
}
