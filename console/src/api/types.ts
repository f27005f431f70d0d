// The words of the HTTP API; `/api/v1/openapi.json` is their source.

export interface TextSpan {
  start: number;
  end: number;
}

export interface ApiFault {
  code: string;
  message: string;
  span?: TextSpan;
}

export interface Observable {
  name: string | null;
  type: string | null;
  type_id: number | null;
  value: string | null;
}

export interface EventRow {
  uid: string;
  time: number;
  class_uid: number;
  class_name: string | null;
  activity_name: string | null;
  severity_id: number;
  status: string | null;
  message: string | null;
  product: string | null;
  observables: Observable[];
}

export interface EventPage {
  rows: EventRow[];
  more: boolean;
  elapsed_ms: number;
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface EventDetail {
  ocsf: { [key: string]: Json };
  raw: string | null;
}

export interface Histogram {
  from: number;
  width: number;
  buckets: number;
  counts: { at: number; severity_id: number; count: number }[];
  total: number;
}

export interface FieldValues {
  field: string;
  values: { value: string; kind?: string; count: number }[];
}

export interface FilterTerm {
  span: TextSpan;
  text: string;
  negated: boolean;
}

export interface FilterAnswer {
  terms: FilterTerm[];
  error?: ApiFault;
}

export interface TailBatch {
  rows: EventRow[];
  seen: number;
  skipped: number;
}

export interface QueryRequest {
  id: string;
  sql: string;
  limit_rows: number;
  timeout_ms: number;
}

export interface QueryAnswer {
  columns: { name: string; data_type: string }[];
  rows: Json[][];
  truncated: boolean;
  elapsed_ms: number;
  rows_scanned?: number;
  files_read?: [number, number];
  warnings?: string[];
}

export interface TableInfo {
  name: string;
  class_uid: number | null;
  rows: number | null;
  columns: { path: string; kind: string; data_type: string }[];
}

export type SourceHealth = "running" | "idle" | "waiting" | "failed";

export interface PollState {
  success_ms: number | null;
  lag_ms: number | null;
  faults: number;
  next_ms: number | null;
}

export interface SourceState {
  source: string;
  stream: string;
  health: SourceHealth;
  reason: string | null;
  records_per_second: number;
  bytes_per_second: number;
  read: number;
  mapped: number;
  rejected: number;
  last_ms: number | null;
  recent: number[];
  poll: PollState | null;
}

export interface RejectGroup {
  group: string;
  stream: string;
  cause: string;
  count: number;
  first_ms: number;
  last_ms: number;
  example: string;
}

export interface LedgerAccount {
  source: string;
  stream: string;
  received: number;
  stored: number;
  refused: number;
  dropped: number;
  duplicates: number;
  waiting: number;
  mended: number;
  missing: number;
}

export interface LedgerAnswer {
  balances: boolean;
  faults: string[];
  total: LedgerAccount;
  accounts: LedgerAccount[];
  tables: { table: string; expected: number; rows: number; removed: number }[];
}

export type RunState =
  "planned" | "awaiting_approval" | "refused" | "applied" | "verified" | "undone" | "failed";

export interface LoopItem {
  trace_id: string;
  finding: {
    uid: string;
    title: string;
    analytic_uid: string;
    severity_id: number;
    time: number;
    techniques: string[];
    entities: Observable[];
    matched: string[];
    evidence: string[];
  };
  decision: {
    permit: boolean;
    principal: string;
    action: string;
    resource: string;
    determining_policies: string[];
    reason: string | null;
    time: number;
  } | null;
  plan: { point: string; changes: { add: boolean; line: string }[]; gaps: string[] } | null;
  run: {
    id: string;
    state: RunState;
    can_undo: boolean;
    steps: { state: RunState; time: number; note: string }[];
  } | null;
}

export interface LoopState {
  items: LoopItem[];
  posture: {
    id: string;
    title: string;
    pass: boolean | null;
    observed: string;
    time: number;
    trace_id: string | null;
  }[];
  metrics: {
    name: string;
    value: number | null;
    unit: string;
    target: string | null;
    detail: string;
    trace_id: string | null;
  }[];
}
