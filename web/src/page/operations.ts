import { gql, type TypedDocumentNode } from "@apollo/client";
import type { Happening, Image, ListedRequest, Request, UserError } from "./types";

const JOB = gql`
  fragment JobFields on Job {
    id
    attempts
    maxAttempts
    nextAttemptAt
    failure { code message }
  }
`;

export const IMAGE = gql`
  fragment ImageFields on GeneratedImage {
    id
    index
    imageStatus
    imageUrl
    failure { code message }
    job { ...JobFields }
  }
  ${JOB}
`;

const MODEL = gql`
  fragment ModelFields on Model {
    id
    name
    status
    progress
    stage
    sizeMm
    previewImageUrl
    sourceImage { id index }
    failure { code message }
    printReport {
      printable watertight widthMm depthMm heightMm volumeCm3 triangleCount bodyCount
      issues { code message }
    }
    files { format byteSize url }
    job { ...JobFields }
  }
  ${JOB}
`;

const STATE = gql`
  fragment StateFields on GenerationRequest {
    id
    prompt
    originalPrompt
    status
    phase
    lastEventSequence
    createdAt
  }
`;

const REQUEST_FIELDS = gql`
  fragment RequestFields on GenerationRequest {
    ...StateFields
    images { ...ImageFields }
    model { id }
    models { ...ModelFields }
  }
  ${STATE}
  ${IMAGE}
  ${MODEL}
`;

const LISTED = gql`
  fragment ListedFields on GenerationRequest {
    id
    originalPrompt
    status
    phase
    lastEventSequence
    createdAt
    images { id imageUrl }
    model { id progress previewImageUrl }
  }
`;

export const LIST: TypedDocumentNode<
  {
    requests: {
      edges: { cursor: string; node: ListedRequest }[];
      pageInfo: { hasNextPage: boolean; endCursor: string | null };
    };
  },
  { first: number; after?: string | null }
> = gql`
  query List($first: Int!, $after: String) {
    requests(first: $first, after: $after) {
      edges { cursor node { ...ListedFields } }
      pageInfo { hasNextPage endCursor }
    }
  }
  ${LISTED}
`;

export const REQUEST: TypedDocumentNode<{ request: Request | null }, { id: string }> = gql`
  query Request($id: ID!) {
    request(id: $id) { ...RequestFields }
  }
  ${REQUEST_FIELDS}
`;

export const EVENTS_URL: TypedDocumentNode<{ request: { id: string; eventsUrl: string } | null }, { id: string }> = gql`
  query EventsUrl($id: ID!) {
    request(id: $id) { id eventsUrl }
  }
`;

export const PROVIDERS: TypedDocumentNode<{ providers: { part: string; isStandIn: boolean }[] }> = gql`
  query Providers {
    providers { part isStandIn }
  }
`;

/** Each event brings what it changed, as it is now; the cache takes it in, and whatever shows it is drawn anew. */
export const REQUEST_EVENTS: TypedDocumentNode<
  { requestEvents: Happening },
  { requestId: string; afterSequence: number }
> = gql`
  subscription RequestEvents($requestId: ID!, $afterSequence: Int!) {
    requestEvents(requestId: $requestId, afterSequence: $afterSequence) {
      id
      name
      sequence
      request { ...StateFields }
      ... on ImageGenerating { index image { ...ImageFields } }
      ... on ImageCompleted { index image { ...ImageFields } }
      ... on ImageFailed { index errorMessage image { ...ImageFields } }
      ... on TaskUpdated { phase request { ...RequestFields } }
      ... on ModelGenerating { modelId request { ...RequestFields } }
      ... on ModelProgress { modelId progress stage estimated model { ...ModelFields } }
      ... on ModelCompleted { modelId model { ...ModelFields } }
      ... on ModelFailed { modelId errorMessage model { ...ModelFields } }
    }
  }
  ${REQUEST_FIELDS}
`;

export const ALL_EVENTS: TypedDocumentNode<{ events: { sequence: number; request: ListedRequest } }> = gql`
  subscription AllEvents {
    events {
      id
      sequence
      request { ...ListedFields }
    }
  }
  ${LISTED}
`;

export const CREATE: TypedDocumentNode<
  { createRequest: { request: (Request & ListedRequest) | null; userErrors: UserError[] } },
  { input: { prompt: string; optimizePrompt: boolean; idempotencyKey: string } }
> = gql`
  mutation Create($input: CreateRequestInput!) {
    createRequest(input: $input) {
      request { ...RequestFields ...ListedFields }
      userErrors { message }
    }
  }
  ${REQUEST_FIELDS}
  ${LISTED}
`;

export const SELECT: TypedDocumentNode<
  { selectImage: { request: Request | null; userErrors: UserError[] } },
  { input: { requestId: string; index: number; sizeMm: number } }
> = gql`
  mutation Select($input: SelectImageInput!) {
    selectImage(input: $input) {
      request { ...RequestFields }
      userErrors { message }
    }
  }
  ${REQUEST_FIELDS}
`;

export const RETRY: TypedDocumentNode<
  { retryImage: { image: Image | null; userErrors: UserError[] } },
  { input: { imageId: string } }
> = gql`
  mutation Retry($input: RetryImageInput!) {
    retryImage(input: $input) {
      image { ...ImageFields }
      userErrors { message }
    }
  }
  ${IMAGE}
`;

export const CANCEL: TypedDocumentNode<
  { cancelRequest: { request: Request | null; userErrors: UserError[] } },
  { input: { requestId: string } }
> = gql`
  mutation Cancel($input: CancelRequestInput!) {
    cancelRequest(input: $input) {
      request { ...RequestFields }
      userErrors { message }
    }
  }
  ${REQUEST_FIELDS}
`;

export const DELETE: TypedDocumentNode<
  { deleteRequest: { deletedRequestId: string | null; userErrors: UserError[] } },
  { input: { requestId: string } }
> = gql`
  mutation Delete($input: DeleteRequestInput!) {
    deleteRequest(input: $input) {
      deletedRequestId
      userErrors { message }
    }
  }
`;
