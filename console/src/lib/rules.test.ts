import { describe, expect, test } from "vitest";
import type { RuleView } from "../api/types";
import { coverage, shownRules } from "./rules";

const rule = (id: string, more: Partial<RuleView>): RuleView => ({
  id,
  title: `Rule ${id}`,
  description: "",
  file: "a.yml",
  line: 1,
  severity_id: 3,
  kind: "detection",
  state: "ready",
  reason: null,
  techniques: [{ uid: "T1110", name: "Brute Force" }],
  tactics: ["TA0006"],
  connectors: ["okta"],
  fired: 0,
  last_fired: null,
  ...more,
});
const rules = [
  rule("quiet", {}),
  rule("loud", { fired: 7 }),
  rule("never", { state: "never", tactics: ["TA0001"] }),
  rule("worse", { severity_id: 5, connectors: ["aws"] }),
];
const ids = (search: Parameters<typeof shownRules>[1]) =>
  shownRules(rules, search).map((one) => one.id);

describe("rules", () => {
  test("what fired stands first, then what is worse", () => {
    expect(ids({})).toEqual(["loud", "worse", "never", "quiet"]);
  });

  test("a view is narrowed by state, tactic and words", () => {
    expect(ids({ state: "fired" })).toEqual(["loud"]);
    expect(ids({ state: "silent" })).toEqual(["worse", "quiet"]);
    expect(ids({ state: "never" })).toEqual(["never"]);
    expect(ids({ tactic: "TA0001" })).toEqual(["never"]);
    expect(ids({ q: "AWS brute" })).toEqual(["worse"]);
    expect(ids({ q: "nonsense" })).toEqual([]);
  });

  test("coverage counts what can speak here", () => {
    const tactics = [
      { uid: "TA0001", name: "Initial Access" },
      { uid: "TA0006", name: "Credential Access" },
    ];
    const found = coverage({ rules, tactics });
    expect(
      found.map(({ able, unable, techniques, fired }) => [able, unable, techniques, fired]),
    ).toEqual([
      [0, 1, 0, 0],
      [3, 0, 1, 7],
    ]);
  });
});
