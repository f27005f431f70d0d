import { Button } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, get, send } from "../../api/client";
import type { QueryAnswer, QueryRequest, TableInfo } from "../../api/types";
import { compact, count } from "../../lib/format";
import { toCsv, toNdjson } from "../../lib/table";
import { stamp } from "../../lib/time";
import { Icon } from "../../parts/Icon";
import { Empty } from "../../parts/States";
import { Editor, type EditorHandle } from "./Editor";
import { past, remember } from "./history";
import { Results } from "./Results";
import { Tables } from "./Tables";
import css from "./QueryPage.module.css";

const route = getRouteApi("/query");
const FIRST =
  "SELECT class_name, product, count(*) AS events\nFROM (SELECT class_name, metadata['product']['name'] AS product FROM events)\nGROUP BY class_name, product\nORDER BY events DESC";
const ROWS = [100, 1_000, 10_000, 50_000];
const SECONDS = [5, 10, 30, 120];
const NO_TABLES: TableInfo[] = [];

export function QueryPage() {
  const { sql: linked } = route.useSearch();
  const navigate = route.useNavigate();
  const [text, setText] = useState(() => linked ?? past()[0]?.sql ?? FIRST);
  const [limitRows, setLimitRows] = useState(1_000);
  const [seconds, setSeconds] = useState(10);
  const [kept, setKept] = useState(past);
  const editor = useRef<EditorHandle>(null);
  const tables = useQuery({
    queryKey: ["tables"],
    queryFn: () => get<TableInfo[]>("/api/v1/tables"),
    staleTime: 60_000,
  });
  const run = useRun();
  const { mutate } = run.query;

  const start = useCallback(() => {
    const sql = text.trim();
    if (!sql) return;
    setKept(remember(sql, Date.now()));
    void navigate({ to: "/query", search: { sql }, replace: true });
    mutate({ sql, limit_rows: limitRows, timeout_ms: seconds * 1_000 });
  }, [text, limitRows, seconds, navigate, mutate]);

  const error = run.query.error instanceof ApiError ? run.query.error : null;
  const answer = run.query.data;
  return (
    <div className={css.page}>
      <h1 className="visually-hidden">Query</h1>
      <Tables
        tables={tables.data ?? NO_TABLES}
        error={tables.error}
        pending={tables.isPending}
        onInsert={(name) => editor.current?.insert(name)}
      />
      <div className={css.work}>
        <div className={css.editor}>
          <Editor
            ref={editor}
            initial={text}
            tables={tables.data ?? NO_TABLES}
            error={error}
            onChange={setText}
            onRun={start}
          />
        </div>
        <div className={css.bar}>
          {run.query.isPending ? (
            <Button
              size="compact-md"
              variant="default"
              onClick={run.cancel}
              leftSection={<Icon name="close" size={14} />}
            >
              Cancel
            </Button>
          ) : (
            <Button size="compact-md" onClick={start} leftSection={<Icon name="play" size={14} />}>
              Run
            </Button>
          )}
          <span className={css.hint}>
            <kbd>Ctrl Enter</kbd>
          </span>
          <label className={css.budget}>
            at most
            <select
              value={limitRows}
              onChange={(event) => setLimitRows(Number(event.currentTarget.value))}
            >
              {ROWS.map((rows) => (
                <option key={rows} value={rows}>{`${count(rows)} rows`}</option>
              ))}
            </select>
          </label>
          <label className={css.budget}>
            within
            <select
              value={seconds}
              onChange={(event) => setSeconds(Number(event.currentTarget.value))}
            >
              {SECONDS.map((one) => (
                <option key={one} value={one}>{`${one} s`}</option>
              ))}
            </select>
          </label>
          {kept.length > 0 ? (
            <select
              className={css.history}
              aria-label="Earlier statements"
              value=""
              onChange={(event) => editor.current?.replace(event.currentTarget.value)}
            >
              <option value="">Earlier…</option>
              {kept.map((one) => (
                <option
                  key={one.at}
                  value={one.sql}
                >{`${stamp(one.at).slice(5, 16)}  ${one.sql.replace(/\s+/g, " ").slice(0, 80)}`}</option>
              ))}
            </select>
          ) : null}
          <Facts answer={answer} since={run.query.isPending ? run.since : null} />
        </div>
        {run.query.error ? (
          <p className={css.error} role="alert">
            {error?.code === "cancelled" ? "Cancelled." : run.query.error.message}
          </p>
        ) : null}
        {answer && !run.query.isPending ? (
          answer.columns.length === 0 ? (
            <Empty title="The statement gave no columns" />
          ) : (
            <Results key={run.query.submittedAt} answer={answer} />
          )
        ) : run.query.error || run.query.isPending ? (
          <div className={css.rest} />
        ) : (
          <Empty title="Ask the lake">
            Every table is an OCSF class; <code>events</code> holds what all of them share. Nested
            values are read as <code>actor['user']['name']</code>.
          </Empty>
        )}
      </div>
    </div>
  );
}

function useRun() {
  const running = useRef<{ id: string; abort: AbortController } | null>(null);
  const [since, setSince] = useState(0);
  const query = useMutation({
    mutationFn: (request: Omit<QueryRequest, "id">) => {
      const id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
      const abort = new AbortController();
      running.current = { id, abort };
      setSince(Date.now());
      return send<QueryAnswer>("POST", "/api/v1/query", { ...request, id }, abort.signal);
    },
    retry: false,
  });
  const cancel = () => {
    const current = running.current;
    if (!current) return;
    void send("POST", `/api/v1/query/${current.id}/cancel`).catch(() => undefined);
    current.abort.abort();
  };
  const wrapped =
    query.error instanceof DOMException
      ? new ApiError({ code: "cancelled", message: "cancelled" })
      : query.error;
  return { query: { ...query, error: wrapped }, cancel, since };
}

function Facts({ answer, since }: { answer: QueryAnswer | undefined; since: number | null }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (since === null) return;
    const timer = setInterval(() => setNow(Date.now()), 100);
    return () => clearInterval(timer);
  }, [since]);
  if (since !== null)
    return <span className={css.facts}>{`${(Math.max(0, now - since) / 1000).toFixed(1)} s`}</span>;
  if (!answer) return null;
  return (
    <span className={css.facts} role="status">
      <span>
        <strong>{count(answer.rows.length)}</strong> rows in {count(answer.elapsed_ms)} ms
        {answer.rows_scanned === undefined ? "" : `, ${compact(answer.rows_scanned)} read`}
        {answer.files_read
          ? `, ${count(answer.files_read[0])} of ${count(answer.files_read[1])} files`
          : ""}
        {answer.warnings?.length ? `. Not whole: ${answer.warnings.join("; ")}` : ""}
        {answer.truncated ? ". More exist: the row budget is used up" : ""}
      </span>
      <button type="button" onClick={() => download(toCsv(answer), "text/csv", "csv")}>
        <Icon name="download" size={13} /> CSV
      </button>
      <button
        type="button"
        onClick={() => download(toNdjson(answer), "application/x-ndjson", "ndjson")}
      >
        <Icon name="download" size={13} /> NDJSON
      </button>
    </span>
  );
}

function download(text: string, type: string, ending: string) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `weft-${stamp(Date.now()).replace(/[ :]/g, "-")}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1_000);
}
