import type { DetectionState, Named, RuleState, RuleView } from "../api/types";
import type { DetectionsSearch } from "../app/router";

export const RULE_STATES: Record<RuleState, string> = {
  ready: "Ready",
  off: "Off",
  never: "Cannot fire",
  suspended: "Suspended",
};

export const RULE_KINDS = {
  detection: "one event",
  correlation: "correlation",
  behaviour: "behaviour",
  filter: "filter",
} as const;

/** Rules that a view shows, those that fired most first. */
export function shownRules(rules: RuleView[], search: DetectionsSearch): RuleView[] {
  const words = (search.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (rule: RuleView) => {
    const { state, tactic } = search;
    if (state === "fired" && rule.fired === 0) return false;
    if (state === "silent" && (rule.fired > 0 || rule.state !== "ready")) return false;
    if (state && state !== "fired" && state !== "silent" && rule.state !== state) return false;
    if (tactic && !rule.tactics.includes(tactic)) return false;
    const all = [
      rule.title,
      rule.id,
      rule.file,
      ...rule.connectors,
      ...rule.techniques.flatMap((one) => [one.uid, one.name]),
    ]
      .join(" ")
      .toLowerCase();
    return words.every((word) => all.includes(word));
  };
  return rules
    .filter(fits)
    .sort(
      (a, b) =>
        b.fired - a.fired || b.severity_id - a.severity_id || a.title.localeCompare(b.title),
    );
}

export interface Coverage {
  tactic: Named;
  /** Rules that can speak about it here. */
  able: number;
  /** Rules that exist and cannot. */
  unable: number;
  /** Distinct techniques of those that can. */
  techniques: number;
  /** Findings in the time that is counted. */
  fired: number;
}

/** What of each tactic can be seen here, in the order of ATT&CK. */
export function coverage(state: Pick<DetectionState, "rules" | "tactics">): Coverage[] {
  return state.tactics.map((tactic) => {
    const of = state.rules.filter(
      (rule) => rule.kind !== "filter" && rule.tactics.includes(tactic.uid),
    );
    const able = of.filter((rule) => rule.state === "ready");
    const techniques = new Set(able.flatMap((rule) => rule.techniques.map((one) => one.uid)));
    return {
      tactic,
      able: able.length,
      unable: of.length - able.length,
      techniques: techniques.size,
      fired: of.reduce((sum, rule) => sum + rule.fired, 0),
    };
  });
}
