import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { get } from "../../api/client";
import type { IncidentRow } from "../../api/types";
import { inText } from "../../app/keys";
import { count } from "../../lib/format";
import { fits, STATES, VERDICTS } from "../../lib/incident";
import { span, stamp } from "../../lib/time";
import { Filter } from "../../parts/Filter";
import page from "../../parts/Page.module.css";
import { Severity } from "../../parts/Severity";
import { Empty, Failure, Loading } from "../../parts/States";
import { Totals } from "../../parts/Totals";
import { Risks } from "./Risks";
import { useAction } from "./useAction";
import css from "./IncidentsPage.module.css";

const REFRESH_MS = 5_000;
const FILTERS = [
  { name: "Open", state: undefined },
  { name: "Closed", state: "closed" },
  { name: "All", state: "all" },
] as const;

export function IncidentsPage() {
  const incidents = useQuery({
    queryKey: ["incidents"],
    queryFn: () => get<IncidentRow[]>("/api/v1/incidents"),
    refetchInterval: REFRESH_MS,
  });
  const { state, q } = useSearch({ from: "/incidents" });
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const list = useRef<HTMLDivElement>(null);
  useListKeys(list);
  const shown = useMemo(() => {
    const all = incidents.data ?? [];
    const open = (row: IncidentRow) =>
      state === "all" || (row.state === "closed") === (state === "closed");
    return all.filter((row) => open(row) && (!q || fits(row, q)));
  }, [incidents.data, state, q]);
  if (incidents.isPending) return <Loading what="incidents" />;
  if (incidents.isError)
    return <Failure error={incidents.error} retry={() => void incidents.refetch()} />;
  const kept = incidents.data.filter((row) => chosen.has(row.uid)).map((row) => row.uid);
  const toggle = (uid: string) => {
    const next = new Set(chosen);
    if (!next.delete(uid)) next.add(uid);
    setChosen(next);
  };
  return (
    <div className={page.page} tabIndex={0} role="region" aria-label="Incidents and risk">
      <div className={css.inner}>
        <section aria-labelledby="incidents-title" className={css.main}>
          <Head all={incidents.data} />
          <Bar shown={shown.length} />
          {kept.length > 0 ? <Merge uids={kept} onDone={() => setChosen(new Set())} /> : null}
          <div ref={list}>
            {shown.length === 0 ? (
              <Empty title={incidents.data.length === 0 ? "No incident" : "None of these"}>
                {incidents.data.length === 0
                  ? "Findings that belong together appear here, with why they do."
                  : "Choose another state, or clear the filter."}
              </Empty>
            ) : (
              <Table rows={shown} chosen={chosen} toggle={toggle} />
            )}
          </div>
          <p className={css.note}>
            These may still grow: the last 14 days of events. Older ones are in the lake,{" "}
            <Link
              to="/query"
              search={{
                sql: "SELECT ts(time) AS told, severity_id, message, status_detail FROM incident_finding ORDER BY time DESC LIMIT 500",
              }}
            >
              every version of every incident
            </Link>
            .
          </p>
        </section>
        <aside className={css.side}>
          <Risks />
        </aside>
      </div>
    </div>
  );
}

/** j and k go from incident to incident, / to the filter. */
function useListKeys(list: React.RefObject<HTMLDivElement | null>) {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (inText(event) || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "/") {
        event.preventDefault();
        document.getElementById("incidents-filter")?.focus();
        return;
      }
      const step = event.key === "j" ? 1 : event.key === "k" ? -1 : 0;
      if (step === 0) return;
      const links = [...(list.current?.querySelectorAll<HTMLElement>("a[data-incident]") ?? [])];
      const at = links.indexOf(document.activeElement as HTMLElement);
      const next = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + step))];
      next?.focus();
      next?.scrollIntoView({ block: "nearest" });
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [list]);
}

function Head({ all }: { all: IncidentRow[] }) {
  const open = all.filter((row) => row.state !== "closed");
  const facts: [string, string][] = [
    [count(open.length), "open"],
    [count(open.filter((row) => row.owner === null).length), "with nobody"],
    [count(open.filter((row) => row.severity_id >= 4).length), "high or worse"],
  ];
  return <Totals title="Incidents" id="incidents-title" facts={facts} />;
}

function Bar({ shown }: { shown: number }) {
  const navigate = useNavigate({ from: "/incidents" });
  const { state, q } = useSearch({ from: "/incidents" });
  return (
    <Filter
      id="incidents-filter"
      label="Filter incidents"
      placeholder="Title, entity, tool, tactic, owner…"
      text={q}
      onText={(q) => void navigate({ search: { state, q }, replace: true })}
      shown={`${count(shown)} shown`}
    >
      {FILTERS.map((filter) => (
        <Link
          key={filter.name}
          to="/incidents"
          search={{ q, state: filter.state }}
          activeOptions={{ exact: true, includeSearch: true }}
        >
          {filter.name}
        </Link>
      ))}
    </Filter>
  );
}

function Merge({ uids, onDone }: { uids: string[]; onDone: () => void }) {
  const act = useAction(onDone);
  return (
    <div className={css.act}>
      <Button
        size="compact-sm"
        disabled={uids.length < 2}
        loading={act.isPending}
        onClick={() => act.mutate({ action: "merge", incidents: uids })}
      >
        Merge {uids.length}
      </Button>
      <Button size="compact-sm" variant="default" onClick={onDone}>
        Choose none
      </Button>
      <span className="dim">
        {uids.length < 2
          ? "Choose one more to merge."
          : "They are one from now on, and what is found later follows."}
      </span>
      {act.isError ? (
        <span className={css.fault} role="alert">
          {act.error.message}
        </span>
      ) : null}
    </div>
  );
}

interface TableProps {
  rows: IncidentRow[];
  chosen: ReadonlySet<string>;
  toggle: (uid: string) => void;
}

function Table({ rows, chosen, toggle }: TableProps) {
  const now = Date.now();
  return (
    <div className={page.scroll} tabIndex={0} role="region" aria-label="List of incidents">
      <table className={`${page.table} ${css.list}`}>
        <thead>
          <tr>
            <th scope="col">
              <span className="visually-hidden">Choose</span>
            </th>
            <th scope="col">Severity</th>
            <th scope="col">Incident</th>
            <th scope="col">State</th>
            <th scope="col">Owner</th>
            <th scope="col">Tools</th>
            <th scope="col">Tactics</th>
            <th scope="col" className={page.right}>
              Findings
            </th>
            <th scope="col">First evidence</th>
            <th scope="col">Detected</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.uid} className={css.row}>
              <td>
                <input
                  type="checkbox"
                  aria-label={`Choose ${row.title}`}
                  checked={chosen.has(row.uid)}
                  onChange={() => toggle(row.uid)}
                />
              </td>
              <td>
                <Severity id={row.severity_id} />
              </td>
              <th scope="row" className={css.title}>
                <Link to="/incidents/$uid" params={{ uid: row.uid }} data-incident={row.uid}>
                  {row.title}
                </Link>
                <Entities row={row} />
              </th>
              <td>
                <span className={css.state} data-state={row.state}>
                  {STATES[row.state]}
                </span>
                {row.verdict ? <span className={page.stream}>{VERDICTS[row.verdict]}</span> : null}
              </td>
              <td>{row.owner ?? <span className="dim">nobody</span>}</td>
              <td className={css.words}>{row.tools.join(", ")}</td>
              <td className={css.words}>{row.tactics.map((tactic) => tactic.name).join(", ")}</td>
              <td className={page.right}>{row.findings}</td>
              <td>
                {stamp(row.first_evidence).slice(5)}
                <span className={page.stream}>{span(now - row.first_evidence)} ago</span>
              </td>
              <td>
                {stamp(row.detected).slice(5)}
                <span className={page.stream}>after {span(row.detected - row.first_evidence)}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Entities({ row }: { row: IncidentRow }) {
  const named = row.entities.slice(0, 4);
  const more = row.entities.length - named.length;
  return (
    <span className={css.entities}>
      {named.map((entity) => (
        <span key={`${entity.kind} ${entity.name}`}>
          <span className="dim">{entity.kind}</span> {entity.name}
        </span>
      ))}
      {more > 0 ? <span className="dim">and {more} more</span> : null}
    </span>
  );
}
