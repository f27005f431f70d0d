import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { get } from "../../api/client";
import type { DetectionState, RuleView } from "../../api/types";
import { inText } from "../../app/keys";
import { withTerm } from "../../lib/filter";
import { count } from "../../lib/format";
import { coverage, RULE_KINDS, RULE_STATES, shownRules } from "../../lib/rules";
import { span } from "../../lib/time";
import { Filter } from "../../parts/Filter";
import page from "../../parts/Page.module.css";
import { Prose } from "../../parts/Prose";
import { Severity } from "../../parts/Severity";
import { Empty, Failure, Loading } from "../../parts/States";
import { Totals } from "../../parts/Totals";
import { Hunts } from "./Hunts";
import css from "./DetectionsPage.module.css";

const REFRESH_MS = 15_000;
/** Rules that are shown before somebody asks for all. */
const SHOWN = 200;
const FILTERS = [
  { name: "All", state: undefined },
  { name: "Fired", state: "fired" },
  { name: "Silent", state: "silent" },
  { name: "Cannot fire", state: "never" },
  { name: "Off", state: "off" },
  { name: "Suspended", state: "suspended" },
] as const;

export function DetectionsPage() {
  const detection = useQuery({
    queryKey: ["detections"],
    queryFn: () => get<DetectionState>("/api/v1/detections"),
    refetchInterval: REFRESH_MS,
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "/" || inText(event)) return;
      event.preventDefault();
      document.getElementById("rules-filter")?.focus();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  if (detection.isPending) return <Loading what="detections" />;
  if (detection.isError)
    return <Failure error={detection.error} retry={() => void detection.refetch()} />;
  const state = detection.data;
  return (
    <div className={page.page} tabIndex={0} role="region" aria-label="Detections">
      <div className={page.inner}>
        <Head state={state} />
        <CoverageStrip state={state} />
        <h2 className={page.heading}>Rules</h2>
        <Refused lines={state.refused} />
        <Rules state={state} />
        <h2 className={page.heading}>Hunts</h2>
        <Hunts hunts={state.hunts} />
        <h2 className={page.heading}>What is remembered</h2>
        <Memory memory={state.memory} />
      </div>
    </div>
  );
}

function Head({ state }: { state: DetectionState }) {
  const of = (wanted: RuleView["state"]) =>
    state.rules.filter((rule) => rule.state === wanted).length;
  const fired = state.rules.reduce((sum, rule) => sum + rule.fired, 0);
  const facts: [string, string][] = [
    [count(of("ready")), "rules ready"],
    [count(of("never")), "cannot fire here"],
    [count(of("off")), "off"],
    [count(of("suspended")), "suspended"],
    [count(fired), "findings of rules in 7 days"],
  ];
  return <Totals title="Detections" facts={facts} />;
}

function CoverageStrip({ state }: { state: DetectionState }) {
  const { tactic: chosen, ...rest } = useSearch({ from: "/detections" });
  const all = useMemo(() => coverage(state), [state]);
  const most = Math.max(1, ...all.map((one) => one.able));
  return (
    <section aria-label={`Coverage of the tactics of ATT&CK ${state.attack_version}`}>
      <ol className={css.strip}>
        {all.map((one) => (
          <li key={one.tactic.uid}>
            <Link
              to="/detections"
              search={{
                ...rest,
                tactic: chosen === one.tactic.uid ? undefined : one.tactic.uid,
              }}
              className={css.tactic}
              data-chosen={chosen === one.tactic.uid}
              activeOptions={{ exact: true, includeSearch: true }}
              title={`${one.able} rules can fire, ${one.unable} cannot; ${one.fired} findings in 7 days`}
            >
              <span className={css.bar} aria-hidden="true">
                <span style={{ height: `${(100 * one.able) / most}%` }} />
              </span>
              <span className={css.name}>{one.tactic.name}</span>
              <span className={css.figure}>
                {one.able} <span className="dim">{one.able === 1 ? "rule" : "rules"}</span>
              </span>
              <span className={css.small}>
                {one.techniques} {one.techniques === 1 ? "technique" : "techniques"}
                {one.fired > 0 ? `, ${count(one.fired)} found` : ""}
              </span>
            </Link>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Refused({ lines }: { lines: string[] }) {
  if (lines.length === 0) return null;
  return (
    <details className={css.refused}>
      <summary>{lines.length} were left out; all others work</summary>
      <ul>
        {lines.map((line) => (
          <li key={line}>
            <Prose text={line} />
          </li>
        ))}
      </ul>
    </details>
  );
}

function Rules({ state }: { state: DetectionState }) {
  const search = useSearch({ from: "/detections" });
  const navigate = useNavigate({ from: "/detections" });
  const [all, setAll] = useState(false);
  const found = useMemo(() => shownRules(state.rules, search), [state.rules, search]);
  const shown = all ? found : found.slice(0, SHOWN);
  return (
    <>
      <Filter
        id="rules-filter"
        label="Filter rules"
        placeholder="Title, technique, connector, file…"
        text={search.q}
        onText={(q) => void navigate({ search: { ...search, q }, replace: true })}
        shown={`${count(found.length)} of ${count(state.rules.length)}`}
      >
        {FILTERS.map((filter) => (
          <Link
            key={filter.name}
            to="/detections"
            search={{ ...search, state: filter.state }}
            activeOptions={{ exact: true, includeSearch: true }}
          >
            {filter.name}
          </Link>
        ))}
      </Filter>
      {found.length === 0 ? (
        <Empty title="No such rule">Choose another state or tactic, or clear the filter.</Empty>
      ) : (
        <RuleTable rules={shown} since={state.counted_since} />
      )}
      {shown.length < found.length ? (
        <p>
          <Button size="compact-sm" variant="default" onClick={() => setAll(true)}>
            Show all {count(found.length)}
          </Button>
        </p>
      ) : null}
    </>
  );
}

function RuleTable({ rules, since }: { rules: RuleView[]; since: number }) {
  const now = Date.now();
  return (
    <div className={page.scroll} tabIndex={0} role="region" aria-label="List of rules">
      <table className={page.table}>
        <thead>
          <tr>
            <th scope="col">Rule</th>
            <th scope="col">Severity</th>
            <th scope="col">Here</th>
            <th scope="col" className={page.right}>
              Fired
            </th>
            <th scope="col">Last</th>
            <th scope="col">Techniques</th>
            <th scope="col">Connectors</th>
          </tr>
        </thead>
        <tbody>
          {rules.map((rule) => (
            <tr key={`${rule.file} ${rule.id}`}>
              <th scope="row" className={css.title} title={rule.description}>
                {rule.title}
                <span className={page.stream}>
                  {RULE_KINDS[rule.kind]}, {rule.file}:{rule.line}
                </span>
              </th>
              <td>
                <Severity id={rule.severity_id} />
              </td>
              <td className={css.reason}>
                <span className={css.state} data-state={rule.state}>
                  {RULE_STATES[rule.state]}
                </span>
                {rule.reason ? (
                  <span className={page.stream}>
                    <Prose text={rule.reason} />
                  </span>
                ) : null}
              </td>
              <td className={page.right}>
                {rule.fired === 0 ? (
                  <span className="dim">0</span>
                ) : (
                  <Link
                    to="/events"
                    search={{
                      q: withTerm("", "finding_info.analytic.uid", rule.id),
                      from: since,
                      to: now + 60_000,
                    }}
                  >
                    {count(rule.fired)}
                  </Link>
                )}
              </td>
              <td>{rule.last_fired === null ? "" : `${span(now - rule.last_fired)} ago`}</td>
              <td className={css.words}>
                {rule.techniques.map((technique) => (
                  <span key={technique.uid} title={technique.name}>
                    {technique.uid}
                  </span>
                ))}
              </td>
              <td className={css.words}>
                <Connectors names={rule.connectors} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Connectors({ names }: { names: string[] }) {
  if (names.length <= 4) return names.join(", ");
  return (
    <span title={names.join(", ")}>
      {names.slice(0, 3).join(", ")} and {names.length - 3} more
    </span>
  );
}

function Memory({ memory }: { memory: DetectionState["memory"] }) {
  const facts: [number, string, string][] = [
    [memory.groups, "groups of correlations", ""],
    [memory.events, "events in them", ""],
    [memory.entities, "entities of baselines", ""],
    [memory.late, "events came too late", "late"],
    [memory.evicted, "forgotten by correlations and baselines for want of room", "some"],
    [memory.incidents_evicted, "findings folded into incidents for want of room", "some"],
    [memory.risk_evicted, "findings left out of risks for want of room", "some"],
  ];
  return (
    <dl className={css.memory}>
      {facts.map(([value, name, tone]) => (
        <div key={name} data-some={tone === "some" && value > 0}>
          <dd>{count(value)}</dd>
          <dt>{name}</dt>
        </div>
      ))}
    </dl>
  );
}
