/** What the page's operations ask for, as the API's schema has it. */

export type Phase = "IMAGE_GENERATION" | "AWAITING_SELECTION" | "MODEL_GENERATION" | "COMPLETED" | "CANCELLED";
export type ImageStatus = "PENDING" | "GENERATING" | "COMPLETED" | "FAILED" | "CANCELLED";
export type ModelStatus = ImageStatus;
export type Stage = "QUEUED" | "GENERATING" | "DOWNLOADING" | "PREPARING" | "UPLOADING";
export type Format = "GLB" | "OBJ" | "STL" | "THREE_MF";
export type Status =
  | "IMAGE_PENDING"
  | "IMAGE_GENERATING"
  | "IMAGE_COMPLETED"
  | "IMAGE_FAILED"
  | "MODEL_PENDING"
  | "MODEL_GENERATING"
  | "MODEL_COMPLETED"
  | "MODEL_FAILED"
  | "CANCELLED";

export type FailureCode =
  | "PROVIDER_UNAVAILABLE"
  | "PROVIDER_BUSY"
  | "PROVIDER_REJECTED"
  | "CONTENT_REJECTED"
  | "PROVIDER_MISCONFIGURED"
  | "OUTCOME_UNKNOWN"
  | "TIMED_OUT"
  | "BAD_OUTPUT"
  | "STORAGE_UNAVAILABLE"
  | "INTERNAL";

export interface Failure {
  code: FailureCode;
  message: string;
}

export interface Job {
  id: string;
  attempts: number;
  maxAttempts: number;
  nextAttemptAt: string | null;
  failure: Failure | null;
}

export interface Image {
  id: string;
  index: number;
  imageStatus: ImageStatus;
  imageUrl: string | null;
  failure: Failure | null;
  job: Job;
}

export interface PrintReport {
  printable: boolean;
  watertight: boolean;
  widthMm: number;
  depthMm: number;
  heightMm: number;
  volumeCm3: number | null;
  triangleCount: number;
  bodyCount: number;
  issues: { code: string; message: string }[];
}

export interface ModelFile {
  format: Format;
  byteSize: number;
  url: string;
}

export interface Model {
  id: string;
  name: string;
  status: ModelStatus;
  progress: number;
  stage: Stage | null;
  sizeMm: number;
  previewImageUrl: string | null;
  sourceImage: { id: string; index: number };
  failure: Failure | null;
  printReport: PrintReport | null;
  files: ModelFile[];
  job: Job;
}

export interface Request {
  id: string;
  prompt: string;
  originalPrompt: string;
  status: Status;
  phase: Phase;
  lastEventSequence: number;
  createdAt: string;
  images: Image[];
  models: Model[];
}

export interface ListedRequest {
  id: string;
  originalPrompt: string;
  status: Status;
  phase: Phase;
  lastEventSequence: number;
  createdAt: string;
  images: Pick<Image, "id" | "imageUrl">[];
  model: Pick<Model, "id" | "progress" | "previewImageUrl"> | null;
}

export interface UserError {
  message: string;
}

/** An event, over whichever transport it came. */
export interface Happening {
  name: string;
  sequence: number;
  index?: number;
  errorMessage?: string;
  modelId?: string;
  progress?: number;
  stage?: Stage;
  estimated?: boolean;
  phase?: Phase;
}
