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

export interface Named {
  uid: string;
  name: string;
}

export type IncidentState = "new" | "in_progress" | "closed";
export type IncidentVerdict =
  "true_positive" | "benign" | "false_positive" | "test" | "insufficient_data";

export interface IncidentEntity {
  kind: string;
  name: string;
  seen: string;
  findings: number;
}

export interface IncidentRow {
  uid: string;
  title: string;
  severity_id: number;
  state: IncidentState;
  owner: string | null;
  verdict: IncidentVerdict | null;
  entities: IncidentEntity[];
  tools: string[];
  tactics: Named[];
  first_evidence: number;
  last_evidence: number;
  detected: number;
  findings: number;
}

export interface EvidenceEvent {
  uid: string;
  time: number;
  class_uid: number;
  tool: string | null;
  message: string | null;
}

export interface IncidentFinding {
  uid: string;
  event: string | null;
  time: number;
  begin: number;
  title: string;
  analytic: string;
  severity_id: number;
  techniques: Named[];
  tactics: Named[];
  entities: IncidentEntity[];
  tools: string[];
  evidence: EvidenceEvent[];
  evidence_count: number;
}

export interface IncidentJoin {
  earlier: string;
  later: string;
  entity: string | null;
  earlier_has: string | null;
  later_has: string | null;
  person: string | null;
  gap_ms: number;
}

export interface EntityRisk {
  kind: string;
  entity: string;
  score: number;
  level_id: number;
  level: string;
  criticality: string;
  findings: number;
  newest: number;
  because_of: {
    finding: string;
    title: string;
    analytic: string;
    severity_id: number;
    time: number;
    part: number;
  }[];
}

export interface IncidentDetail extends IncidentRow {
  narrative: string;
  closing: { verdict: IncidentVerdict; reason: string; by: string; time: number } | null;
  members: IncidentFinding[];
  forgotten: number;
  joins: IncidentJoin[];
  hubs: string[];
  decided: string[];
  versions: { time: number; what: string; findings: number; severity_id: number }[];
  versions_before: number;
  risks: EntityRisk[];
  trace_id: string;
}

export type IncidentAction =
  | { action: "merge"; incidents: string[] }
  | { action: "split"; incident: string; findings: string[] }
  | { action: "close"; incident: string; verdict: IncidentVerdict; reason: string }
  | { action: "reopen"; incident: string }
  | { action: "assign"; incident: string; owner: string };

export type RuleKind = "detection" | "correlation" | "behaviour" | "filter";
export type RuleState = "ready" | "off" | "never" | "suspended";

export interface RuleView {
  id: string;
  title: string;
  description: string;
  file: string;
  line: number;
  severity_id: number;
  kind: RuleKind;
  state: RuleState;
  reason: string | null;
  techniques: Named[];
  tactics: string[];
  connectors: string[];
  fired: number;
  last_fired: number | null;
}

export interface HuntView {
  name: string;
  title: string;
  hypothesis: string;
  severity_id: number;
  techniques: Named[];
  every_ms: number | null;
  look_back_ms: number;
  last: { time: number; hits: number | null; detail: string | null } | null;
  fired: number;
}

export interface DetectionState {
  rules: RuleView[];
  refused: string[];
  hunts: HuntView[];
  tactics: Named[];
  attack_version: string;
  counted_since: number;
  memory: {
    groups: number;
    events: number;
    entities: number;
    evicted: number;
    late: number;
    incidents_evicted: number;
    risk_evicted: number;
  };
}

export interface FeedView {
  name: string;
  from: string;
  every_ms: number;
  success_ms: number | null;
  changed_ms: number | null;
  next_ms: number | null;
  faults: number;
  error: string | null;
  remarks: string[];
}

export interface IntelligenceState {
  feeds: FeedView[];
  sources: {
    name: string;
    origin: string;
    imported_ms: number;
    indicators: number;
    suppressed: number;
    gaps: number;
  }[];
  exact: number;
  networks: number;
  warning_lists: number;
  faults: string[];
}
