import type { ApiFault, TextSpan } from "./types";

/** A fault that the console reported, or that kept it from answering. */
export class ApiError extends Error {
  readonly code: string;
  readonly span: TextSpan | undefined;

  constructor(fault: ApiFault) {
    super(fault.message);
    this.code = fault.code;
    this.span = fault.span;
  }
}

const signedOutListeners = new Set<() => void>();

/** Calls back when an answer says that the session has ended. */
export function onSignedOut(listener: () => void): () => void {
  signedOutListeners.add(listener);
  return () => signedOutListeners.delete(listener);
}

type Params = Record<string, string | number | null | undefined>;

export function path(base: string, params: Params = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `${base}?${text}` : base;
}

async function fault(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  const error = (body as { error?: ApiFault } | null)?.error;
  return new ApiError(
    error ?? { code: "internal", message: `the console answered ${response.status}; try again` },
  );
}

async function call(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init).catch((reason: unknown) => {
    if (reason instanceof DOMException && reason.name === "AbortError") throw reason;
    throw new ApiError({
      code: "unreachable",
      message: "the mesh does not answer; check that `weft up` runs",
    });
  });
  if (response.ok) return response;
  const error = await fault(response);
  if (error.code === "unauthenticated") signedOutListeners.forEach((listener) => listener());
  throw error;
}

export async function get<T>(url: string, params?: Params, signal?: AbortSignal): Promise<T> {
  const response = await call(path(url, params), signal ? { signal } : {});
  return (await response.json()) as T;
}

export async function send<T = void>(
  method: "POST" | "DELETE",
  url: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const response = await call(url, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    ...(signal ? { signal } : {}),
  });
  return (response.status === 204 ? undefined : await response.json()) as T;
}
