import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { get } from "../../api/client";
import type { EntityRisk } from "../../api/types";
import { findingSearch } from "../../lib/incident";
import { stamp } from "../../lib/time";
import css from "./Risks.module.css";

const REFRESH_MS = 10_000;
/** Entities that are shown; the API gives a thousand. */
const SHOWN = 15;
const TONES = ["info", "low", "medium", "high", "critical"];

/** Entities by risk, each with the findings that its score is made of. */
export function Risks() {
  const risks = useQuery({
    queryKey: ["risks"],
    queryFn: () => get<EntityRisk[]>("/api/v1/risks"),
    refetchInterval: REFRESH_MS,
  });
  const all = risks.data ?? [];
  return (
    <section className={css.card} aria-labelledby="risk-title">
      <h2 id="risk-title">Risk</h2>
      {risks.isError ? <p role="alert">{risks.error.message}</p> : null}
      {risks.isSuccess && all.length === 0 ? <p className="dim">No entity is at risk.</p> : null}
      <RiskList risks={all.slice(0, SHOWN)} />
      {all.length > SHOWN ? <p className="dim">and {all.length - SHOWN} more below these</p> : null}
    </section>
  );
}

export function RiskList({ risks }: { risks: EntityRisk[] }) {
  return (
    <ul className={css.list}>
      {risks.map((risk) => (
        <li key={`${risk.kind} ${risk.entity}`}>
          <Risk risk={risk} />
        </li>
      ))}
    </ul>
  );
}

function Risk({ risk }: { risk: EntityRisk }) {
  const [open, setOpen] = useState(false);
  return (
    <details className={css.risk} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <span className={css.name}>
          <span className="dim">{risk.kind}</span> {risk.entity}
        </span>
        <span className={css.score}>{risk.score.toFixed(1)}</span>
        <span className={css.bar} data-tone={TONES[risk.level_id] ?? "info"} aria-hidden="true">
          <span style={{ width: `${Math.min(100, risk.score)}%` }} />
        </span>
        <span className={css.level}>
          {risk.level}, {risk.findings} {risk.findings === 1 ? "finding" : "findings"}
          {risk.criticality === "medium" ? "" : `, criticality ${risk.criticality}`}
        </span>
      </summary>
      {open ? <Shares risk={risk} /> : null}
    </details>
  );
}

/** What a score is made of: all of it, asked for when somebody wants to know. */
function Shares({ risk }: { risk: EntityRisk }) {
  const complete = risk.because_of.length === risk.findings;
  const whole = useQuery({
    queryKey: ["risks", risk.kind, risk.entity],
    queryFn: () => get<EntityRisk[]>("/api/v1/risks", { entity: `${risk.kind}:${risk.entity}` }),
    enabled: !complete,
  });
  const shares = whole.data?.[0]?.because_of ?? risk.because_of;
  return (
    <ul className={css.shares}>
      {shares.map((share) => (
        <li key={share.finding}>
          <span className={css.part}>{share.part.toFixed(1)}</span>
          <Link to="/events" search={findingSearch(share.finding, share.time)}>
            {share.title}
          </Link>
          <time>{stamp(share.time).slice(5)}</time>
        </li>
      ))}
    </ul>
  );
}
