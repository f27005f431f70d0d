import { Button } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import type { IncidentDetail, IncidentFinding, IncidentJoin } from "../../api/types";
import { around, findingSearch, joinsOf, typeOf } from "../../lib/incident";
import { withTerm } from "../../lib/filter";
import { clock, span, stamp } from "../../lib/time";
import { Entity } from "../../parts/Entity";
import { Severity } from "../../parts/Severity";
import css from "./IncidentPage.module.css";

/** Findings that are shown before somebody asks for all. */
const SHOWN = 100;

interface Props {
  incident: IncidentDetail;
  chosen: ReadonlySet<string>;
  toggle: (uid: string) => void;
}

/** Each finding in order of time: what, whom, by which evidence, and why it belongs here. */
export function Findings({ incident, chosen, toggle }: Props) {
  const [all, setAll] = useState(false);
  const numbers = new Map(incident.members.map((one, at) => [one.uid, at + 1]));
  const shown = all ? incident.members : incident.members.slice(0, SHOWN);
  return (
    <div className={css.findings}>
      {shown.map((finding, at) => (
        <article
          key={finding.uid}
          id={`finding-${at + 1}`}
          data-finding={finding.uid}
          className={css.finding}
          tabIndex={-1}
          aria-labelledby={`finding-title-${at + 1}`}
        >
          <Head
            finding={finding}
            number={at + 1}
            choosable={incident.members.length > 1}
            chosen={chosen.has(finding.uid)}
            toggle={() => toggle(finding.uid)}
          />
          <Entities finding={finding} />
          <Joins {...joinsOf(finding.uid, incident.joins)} numbers={numbers} first={at === 0} />
          <Evidence finding={finding} />
        </article>
      ))}
      {shown.length < incident.members.length ? (
        <Button size="compact-sm" variant="default" onClick={() => setAll(true)}>
          Show all {incident.members.length}
        </Button>
      ) : null}
      {incident.forgotten > 0 ? (
        <p className="dim">
          {incident.forgotten} more are counted and no longer kept one by one; the lake has them.
        </p>
      ) : null}
    </div>
  );
}

interface HeadProps {
  finding: IncidentFinding;
  number: number;
  choosable: boolean;
  chosen: boolean;
  toggle: () => void;
}

function Head({ finding, number, choosable, chosen, toggle }: HeadProps) {
  return (
    <>
      <header>
        {choosable ? (
          <input
            type="checkbox"
            aria-label={`Choose finding ${number} to split it off`}
            checked={chosen}
            onChange={toggle}
          />
        ) : null}
        <span className={css.number}>{number}</span>
        <h3 id={`finding-title-${number}`}>{finding.title}</h3>
        <Severity id={finding.severity_id} />
        <time className={css.when}>{stamp(finding.time)}</time>
      </header>
      <p className={css.small}>
        {finding.tools.length > 0 ? <span>{finding.tools.join(", ")}</span> : null}
        {finding.tactics.length > 0 ? (
          <span>{finding.tactics.map((tactic) => tactic.name).join(", ")}</span>
        ) : null}
        {finding.techniques.map((technique) => (
          <span key={technique.uid}>
            {technique.uid} {technique.name === technique.uid ? "" : technique.name}
          </span>
        ))}
        {finding.event ? (
          <Link to="/events" search={around(finding.event, finding.time)}>
            The finding as an event
          </Link>
        ) : (
          <Link to="/events" search={findingSearch(finding.uid, finding.time)}>
            Look for the finding
          </Link>
        )}
      </p>
    </>
  );
}

function Entities({ finding }: { finding: IncidentFinding }) {
  const navigate = useNavigate();
  if (finding.entities.length === 0) return null;
  const pivot = (field: string, value: string) =>
    void navigate({ to: "/events", search: { q: withTerm("", field, value), range: "24h" } });
  return (
    <div className={css.chips}>
      {finding.entities.map((entity) => (
        <Entity
          key={`${entity.kind} ${entity.name}`}
          entity={{
            name: null,
            type: entity.kind,
            type_id: typeOf(entity.kind),
            value: entity.seen,
          }}
          onPivot={pivot}
        />
      ))}
    </div>
  );
}

interface JoinsProps {
  up: IncidentJoin[];
  down: IncidentJoin[];
  numbers: Map<string, number>;
  first: boolean;
}

/** Why a finding belongs here, with how both name what they share. */
function Joins({ up, down, numbers, first }: JoinsProps) {
  const named = (uid: string, other: string) => {
    const number = numbers.get(uid);
    return number === undefined ? other : `finding ${number}`;
  };
  if (up.length === 0 && down.length === 0)
    return (
      <p className={css.small}>
        {first
          ? "The incident begins here."
          : "Kept from before: how it was joined is no longer remembered."}
      </p>
    );
  return (
    <ul className={css.joins}>
      {up.map((join, at) => (
        <li key={at}>
          Belongs to {named(join.earlier, "an earlier finding")} <By join={join} />,{" "}
          {span(join.gap_ms)} later
        </li>
      ))}
      {down.map((join, at) => (
        <li key={at}>
          {at > 0 ? "Joined" : first ? "The incident begins here; joined" : "Stood alone; joined"}{" "}
          by {named(join.later, "a later finding")} <By join={join} down />, {span(join.gap_ms)}{" "}
          later
        </li>
      ))}
    </ul>
  );
}

function By({ join, down = false }: { join: IncidentJoin; down?: boolean }) {
  if (join.person) return <>because {join.person} said so</>;
  const [here, there] = down
    ? [join.earlier_has, join.later_has]
    : [join.later_has, join.earlier_has];
  return (
    <>
      by {join.entity}: here <code className="mono">{here}</code>, there{" "}
      <code className="mono">{there}</code>
    </>
  );
}

function Evidence({ finding }: { finding: IncidentFinding }) {
  if (finding.evidence_count === 0)
    return <p className={css.small}>The tool that found it names no events.</p>;
  return (
    <details className={css.evidence}>
      <summary>
        {finding.evidence_count} {finding.evidence_count === 1 ? "event" : "events"} as evidence
      </summary>
      <ul>
        {finding.evidence.map((event) => (
          <li key={event.uid}>
            <time title={stamp(event.time)}>{clock(event.time)}</time>
            <span>{event.tool ?? "not in the lake any more"}</span>
            <Link to="/events" search={around(event.uid, event.time)}>
              {event.message ?? "raw record and OCSF event"}
            </Link>
          </li>
        ))}
      </ul>
      {finding.evidence_count > finding.evidence.length ? (
        <p className={css.small}>and {finding.evidence_count - finding.evidence.length} more</p>
      ) : null}
    </details>
  );
}
