import { describe, expect, test } from "vitest";
import type { IncidentFinding, IncidentRow } from "../api/types";
import {
  around,
  findingSearch,
  fits,
  joinsOf,
  lanes,
  localTimes,
  story,
  UNKNOWN,
} from "./incident";

const member = (uid: string, time: number, tools: string[]) =>
  ({ uid, time, tools, severity_id: 3 }) as IncidentFinding;
const join = (earlier: string, later: string) => ({
  earlier,
  later,
  entity: "user ada",
  earlier_has: null,
  later_has: null,
  person: null,
  gap_ms: 1,
});

describe("timeline", () => {
  test("each tool has a lane, each join a line", () => {
    const found = lanes({
      members: [member("a", 0, ["x"]), member("b", 50, ["y", "x"]), member("c", 100, [])],
      joins: [join("a", "b"), join("b", "c"), join("gone", "c")],
    });
    expect(found.names).toEqual(["x", "y", UNKNOWN]);
    expect(found.marks.map((mark) => [mark.at, mark.lane, mark.finding])).toEqual([
      [2, 0, 0],
      [50, 1, 1],
      [50, 0, 1],
      [98, 2, 2],
    ]);
    expect(found.lines.map(([from, to]) => [from.finding, to.finding])).toEqual([
      [0, 1],
      [1, 2],
    ]);
  });

  test("one moment stands in the middle", () => {
    expect(lanes({ members: [member("a", 7, ["x"])], joins: [] }).marks[0]?.at).toBe(50);
  });
});

describe("story", () => {
  test("is the opening, the steps and the reasons", () => {
    expect(
      story(
        "From a to b.\n- one\n- two\nThey belong together by x.\nNot used to join, because too much touches it: z.\nDecided: y.",
      ),
    ).toEqual({
      opening: "From a to b.",
      steps: ["one", "two"],
      rest: ["They belong together by x.", "Decided: y."],
    });
    expect(story("")).toEqual({ opening: "", steps: [], rest: [] });
  });

  test("times are those of the reader", () => {
    expect(localTimes("at 2026-01-02T03:04:05.678Z on", (ms) => String(ms))).toBe(
      "at 1767323045678 on",
    );
    expect(localTimes("no time", String)).toBe("no time");
  });
});

test("a list is searched by what it shows", () => {
  const row = {
    title: "Brute force on host db1",
    uid: "3fa2",
    owner: "Lena",
    state: "in_progress",
    tools: ["Okta"],
    tactics: [{ uid: "TA0006", name: "Credential Access" }],
    entities: [{ kind: "user", name: "ada", seen: "ADA", findings: 1 }],
  } as unknown as IncidentRow;
  expect(fits(row, "okta ada")).toBe(true);
  expect(fits(row, "lena credential")).toBe(true);
  expect(fits(row, "okta bob")).toBe(false);
  expect(fits(row, "")).toBe(true);
});

test("links to events hold a time range", () => {
  expect(around("u", 600_000)).toEqual({ uid: "u", from: 300_000, to: 900_000 });
  expect(findingSearch("a b", 600_000).q).toBe('finding_info.uid:"a b"');
});

test("a finding that began a group says who joined it", () => {
  const joins = [join("a", "c"), join("b", "c")];
  expect(joinsOf("c", joins).up).toHaveLength(2);
  expect(joinsOf("b", joins)).toEqual({ up: [], down: [joins[1]] });
  expect(joinsOf("x", joins)).toEqual({ up: [], down: [] });
});
