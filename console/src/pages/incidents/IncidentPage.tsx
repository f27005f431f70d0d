import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { ApiError, get } from "../../api/client";
import type { IncidentDetail } from "../../api/types";
import { inText } from "../../app/keys";
import { count } from "../../lib/format";
import { localTimes, STATES, story, VERDICTS } from "../../lib/incident";
import { span, stamp } from "../../lib/time";
import page from "../../parts/Page.module.css";
import { Severity } from "../../parts/Severity";
import { Failure, Loading } from "../../parts/States";
import { Actions } from "./Actions";
import { Findings } from "./Findings";
import { RiskList } from "./Risks";
import { Timeline } from "./Timeline";
import list from "./IncidentsPage.module.css";
import risk from "./Risks.module.css";
import css from "./IncidentPage.module.css";

const REFRESH_MS = 5_000;
/** Entities at risk that are shown. */
const RISKS_SHOWN = 8;

export function IncidentPage() {
  const { uid } = useParams({ from: "/incidents/$uid" });
  const incident = useQuery({
    queryKey: ["incidents", uid],
    queryFn: () => get<IncidentDetail>(`/api/v1/incidents/${encodeURIComponent(uid)}`),
    refetchInterval: REFRESH_MS,
  });
  if (incident.isPending) return <Loading what="the incident" />;
  if (incident.isError && !incident.data)
    return <Failure error={incident.error} retry={() => void incident.refetch()} />;
  return <Whole key={uid} incident={incident.data} fault={incident.error} />;
}

function Whole({ incident, fault }: { incident: IncidentDetail; fault: Error | null }) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  useFindingKeys();
  const kept = incident.members.filter((one) => chosen.has(one.uid)).map((one) => one.uid);
  const toggle = (uid: string) => {
    const next = new Set(chosen);
    if (!next.delete(uid)) next.add(uid);
    setChosen(next);
  };
  return (
    <div className={page.page} tabIndex={0} role="region" aria-label="Incident">
      <div className={list.inner}>
        <div className={list.main}>
          <Head incident={incident} fault={fault} />
          <Actions incident={incident} chosen={kept} onDone={() => setChosen(new Set())} />
          <Story incident={incident} />
          <h2 className={page.heading}>Across tools</h2>
          <Timeline incident={incident} />
          <h2 className={page.heading}>Findings and the path of evidence</h2>
          <Findings incident={incident} chosen={chosen} toggle={toggle} />
        </div>
        <aside className={css.side}>
          <Tactics incident={incident} />
          <section className={risk.card} aria-labelledby="incident-risk">
            <h2 id="incident-risk">Risk of its entities</h2>
            {incident.risks.length === 0 ? (
              <p className="dim">None of them is at risk now.</p>
            ) : null}
            <RiskList risks={incident.risks.slice(0, RISKS_SHOWN)} />
            {incident.risks.length > RISKS_SHOWN ? (
              <p className="dim">and {incident.risks.length - RISKS_SHOWN} more below these</p>
            ) : null}
          </section>
          <Changes incident={incident} />
          <Hubs hubs={incident.hubs} />
        </aside>
      </div>
    </div>
  );
}

/** j and k go from finding to finding. */
function useFindingKeys() {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (inText(event) || event.altKey || event.ctrlKey || event.metaKey) return;
      const step = event.key === "j" ? 1 : event.key === "k" ? -1 : 0;
      if (step === 0) return;
      const all = [...document.querySelectorAll<HTMLElement>("article[data-finding]")];
      const at = all.findIndex((one) => one.contains(document.activeElement));
      const next = all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + step))];
      next?.focus();
      next?.scrollIntoView({ block: "nearest" });
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

function Head({ incident, fault }: { incident: IncidentDetail; fault: Error | null }) {
  const facts: [string, string][] = [
    ["First evidence", stamp(incident.first_evidence)],
    ["Last evidence", stamp(incident.last_evidence)],
    [
      "Detected",
      `${stamp(incident.detected)}, after ${span(incident.detected - incident.first_evidence)}`,
    ],
    ["Findings", String(incident.findings)],
    ["Tools", incident.tools.join(", ") || "none in the lake any more"],
    ["Owner", incident.owner ?? "nobody"],
  ];
  return (
    <header className={css.head}>
      <nav aria-label="Way back">
        <Link to="/incidents">Incidents</Link>
      </nav>
      <h1>{incident.title}</h1>
      <p className={css.marks}>
        <Severity id={incident.severity_id} />
        <span className={list.state} data-state={incident.state}>
          {STATES[incident.state]}
          {incident.closing ? `: ${VERDICTS[incident.closing.verdict].toLowerCase()}` : ""}
        </span>
        <Link to="/events" search={{ q: `trace:${incident.trace_id}`, range: "30d" }}>
          Its own events
        </Link>
      </p>
      {fault ? (
        <p className={list.fault} role="alert">
          {fault instanceof ApiError && fault.code === "not_found"
            ? "It is part of another incident now, or too old to grow; this is how it was."
            : `This is how it was: ${fault.message}.`}
        </p>
      ) : null}
      {incident.closing ? (
        <p className={css.closing}>
          {incident.closing.by} closed it on {stamp(incident.closing.time)}:{" "}
          {incident.closing.reason}
        </p>
      ) : null}
      <dl className={css.facts}>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </header>
  );
}

function Story({ incident }: { incident: IncidentDetail }) {
  const told = story(localTimes(incident.narrative, stamp));
  return (
    <section className={css.story} aria-label="Story">
      <p>{told.opening}</p>
      {told.steps.length > 0 ? (
        <ol>
          {told.steps.map((step, at) => (
            <li key={at}>{step}</li>
          ))}
        </ol>
      ) : null}
      {told.rest.map((line, at) => (
        <p key={at}>{line}</p>
      ))}
    </section>
  );
}

function Tactics({ incident }: { incident: IncidentDetail }) {
  const count = (uid: string) =>
    incident.members.filter((one) => one.tactics.some((tactic) => tactic.uid === uid)).length;
  return (
    <section className={risk.card} aria-labelledby="incident-tactics">
      <h2 id="incident-tactics">Tactics</h2>
      {incident.tactics.length === 0 ? <p className="dim">No finding names one.</p> : null}
      <ol className={css.tactics}>
        {incident.tactics.map((tactic) => (
          <li key={tactic.uid}>
            <span>{tactic.name}</span>
            <span className="dim">{count(tactic.uid)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Changes({ incident }: { incident: IncidentDetail }) {
  return (
    <section className={risk.card} aria-labelledby="incident-changes">
      <h2 id="incident-changes">Changes</h2>
      {incident.versions.length === 0 ? (
        <p className="dim">Not told yet; it is within seconds.</p>
      ) : null}
      {incident.versions_before > 0 ? (
        <p className="dim">{count(incident.versions_before)} changes came before these.</p>
      ) : null}
      <ol className={css.changes}>
        {incident.versions.map((version, at) => (
          <li key={at}>
            <time>{stamp(version.time).slice(5)}</time>
            <span>{localTimes(version.what, stamp)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Hubs({ hubs }: { hubs: string[] }) {
  if (hubs.length === 0) return null;
  return (
    <section className={risk.card} aria-labelledby="incident-hubs">
      <h2 id="incident-hubs">Joined nothing</h2>
      <p className="dim">Too much touches these:</p>
      <ul className={css.plain}>
        {hubs.map((hub) => (
          <li key={hub}>{hub}</li>
        ))}
      </ul>
    </section>
  );
}
