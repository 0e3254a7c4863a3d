import { useReactiveVar } from "@apollo/client/react";
import { lazy, Suspense, type Ref } from "react";
import { estimates } from "./state";
import { AttemptNote, FailureNote } from "./Troubles";
import type { Model, PrintReport, Stage } from "./types";
import { bytes, fileName, FORMATS, number, STAGES } from "./words";

const Viewer = lazy(() => import("./Viewer"));
const ORDER = Object.keys(STAGES) as Stage[];
const FILES = Object.keys(FORMATS);

interface ModelViewProps {
  model: Model;
  heading: Ref<HTMLHeadingElement>;
  refresh: () => void;
}

export function ModelView({ model, heading, refresh }: ModelViewProps) {
  return (
    <section className="model" aria-labelledby="model">
      <h2 id="model" ref={heading} tabIndex={-1}>The model</h2>
      {(model.status === "PENDING" || model.status === "GENERATING") && <Progress model={model} />}
      {model.status === "FAILED" && model.failure && (
        <>
          <FailureNote failure={model.failure} />
          <p className="note">The choice is yours again: pick the same picture once more, or another.</p>
        </>
      )}
      {model.status === "CANCELLED" && <p className="note">It was cancelled.</p>}
      {model.status === "COMPLETED" && <Result model={model} refresh={refresh} />}
    </section>
  );
}

function Progress({ model }: { model: Model }) {
  const estimated = useReactiveVar(estimates)[model.id];
  const reached = ORDER.indexOf(model.stage ?? "QUEUED");
  return (
    <div className="progress">
      <progress max={100} value={model.progress} aria-labelledby="stage" />
      <p id="stage">
        {STAGES[model.stage ?? "QUEUED"]}: {model.progress} %{estimated && <em> (estimated)</em>}
      </p>
      <ol className="stages">
        {ORDER.map((stage, place) => (
          <li key={stage} data-at={place < reached ? "done" : place === reached ? "now" : "next"} aria-current={place === reached ? "step" : undefined}>
            {STAGES[stage]}
          </li>
        ))}
      </ol>
      <AttemptNote job={model.job} />
    </div>
  );
}

function Result({ model, refresh }: { model: Model; refresh: () => void }) {
  const glb = model.files.find((file) => file.format === "GLB");
  const files = model.files.toSorted((a, b) => FILES.indexOf(a.format) - FILES.indexOf(b.format));
  return (
    <div className="result">
      <Suspense fallback={<div className="viewer"><p className="note" role="status">One moment …</p></div>}>
        {glb && <Viewer url={glb.url} sizeMm={model.sizeMm} name={model.name} preview={model.previewImageUrl} refresh={refresh} />}
      </Suspense>
      <div className="facts">
        {model.printReport && <Report report={model.printReport} />}
        <h3>Download</h3>
        <ul className="files">
          {files.map((file) => (
            <li key={file.format}>
              <a href={file.url} download={fileName(model.name, FORMATS[file.format].ending)}>
                <b>{FORMATS[file.format].name}</b> <span>{FORMATS[file.format].use}</span> <small>{bytes(file.byteSize)}</small>
              </a>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

function Report({ report }: { report: PrintReport }) {
  const facts: [string, string][] = [
    ["Width × depth × height", `${number(report.widthMm)} × ${number(report.depthMm)} × ${number(report.heightMm)} mm`],
    ["Volume", report.volumeCm3 === null ? "unknown, as it is not closed" : `${number(report.volumeCm3)} cm³`],
    ["Surface", report.watertight ? "closed" : "not closed"],
    ["Bodies", number(report.bodyCount)],
    ["Triangles", number(report.triangleCount)],
  ];
  return (
    <>
      <h3>Print report</h3>
      <p className="verdict" data-good={report.printable}>{report.printable ? "A slicer takes it as it is." : "Look at this before you print:"}</p>
      {report.issues.length > 0 && <ul className="issues">{report.issues.map((issue) => <li key={issue.code}>{issue.message}</li>)}</ul>}
      <dl>
        {facts.map(([name, value]) => (
          <div key={name}><dt>{name}</dt><dd>{value}</dd></div>
        ))}
      </dl>
    </>
  );
}
