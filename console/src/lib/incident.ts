import type {
  IncidentDetail,
  IncidentFinding,
  IncidentJoin,
  IncidentRow,
  IncidentState,
} from "../api/types";
import { withTerm } from "./filter";

/** OCSF observable types of kinds of entity, so that a click looks in the right field. */
const TYPES: Record<string, number> = { user: 4, host: 1, address: 2, domain: 1, workload: 10 };

export function typeOf(kind: string): number | null {
  return TYPES[kind] ?? null;
}

export const STATES: Record<IncidentState, string> = {
  new: "New",
  in_progress: "In progress",
  closed: "Closed",
};

export const VERDICTS = {
  true_positive: "True positive",
  benign: "Benign",
  false_positive: "False positive",
  test: "Test",
  insufficient_data: "Insufficient data",
} as const;

/** Whether a row has all words somewhere in what it shows. */
export function fits(row: IncidentRow, text: string): boolean {
  const all = [
    row.title,
    row.uid,
    row.owner ?? "",
    STATES[row.state],
    ...row.tools,
    ...row.tactics.map((tactic) => tactic.name),
    ...row.entities.flatMap((entity) => [entity.kind, entity.name]),
  ]
    .join(" ")
    .toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

/** The search of the Events page that shows one event with its neighbours in time. */
export function around(uid: string, time: number) {
  const minutes = 5 * 60_000;
  return { uid, from: time - minutes, to: time + minutes };
}

/** The search of the Events page that shows the finding with this `finding_info.uid`. */
export function findingSearch(uid: string, time: number) {
  const minutes = 5 * 60_000;
  return {
    q: withTerm("", "finding_info.uid", uid),
    from: time - minutes,
    to: time + minutes,
  };
}

/** A mark of the timeline: percent from the left, lane, ordinal of the finding. */
export interface Mark {
  at: number;
  lane: number;
  finding: number;
  severity_id: number;
}

export interface Lanes {
  names: string[];
  marks: Mark[];
  /** Pairs of marks that a join connects. */
  lines: [Mark, Mark][];
  begin: number;
  end: number;
}

/** Name of the lane for what no tool is known of. */
export const UNKNOWN = "not in the lake";

/** Findings on one lane a tool, in order of time, with the joins between them. */
export function lanes(incident: Pick<IncidentDetail, "members" | "joins">): Lanes {
  const times = incident.members.map((member) => member.time);
  const begin = Math.min(...times);
  const end = Math.max(...times);
  const names: string[] = [];
  const marks: Mark[] = [];
  const first = new Map<string, Mark>();
  incident.members.forEach((member: IncidentFinding, finding) => {
    const at = end > begin ? 2 + (96 * (member.time - begin)) / (end - begin) : 50;
    for (const tool of member.tools.length > 0 ? member.tools : [UNKNOWN]) {
      let lane = names.indexOf(tool);
      if (lane < 0) lane = names.push(tool) - 1;
      const mark = { at, lane, finding, severity_id: member.severity_id };
      marks.push(mark);
      if (!first.has(member.uid)) first.set(member.uid, mark);
    }
  });
  const lines = incident.joins.flatMap((join): [Mark, Mark][] => {
    const earlier = first.get(join.earlier);
    const later = first.get(join.later);
    return earlier && later ? [[earlier, later]] : [];
  });
  return { names, marks, lines, begin, end };
}

export interface Story {
  opening: string;
  steps: string[];
  rest: string[];
}

/** The narrative in its parts: the first sentence, the steps, why it is one. */
export function story(narrative: string): Story {
  const lines = narrative.split("\n").filter((line) => line !== "");
  const isStep = (line: string) => line.startsWith("- ");
  return {
    opening: lines[0] ?? "",
    steps: lines
      .slice(1)
      .filter(isStep)
      .map((line) => line.slice(2)),
    // What joined nothing stands beside the story.
    rest: lines.slice(1).filter((line) => !isStep(line) && !line.startsWith("Not used to join")),
  };
}

/** The time of RFC 3339 in a text as a person's own clock shows it. */
export function localTimes(text: string, stamp: (ms: number) => string): string {
  return text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (time) =>
    stamp(Date.parse(time)),
  );
}

/** The joins of a finding to earlier ones; or, where it began a group, those of later ones to it. */
export function joinsOf(uid: string, joins: IncidentJoin[]) {
  const up = joins.filter((join) => join.later === uid);
  return { up, down: up.length > 0 ? [] : joins.filter((join) => join.earlier === uid) };
}
