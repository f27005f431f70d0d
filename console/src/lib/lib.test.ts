import { describe, expect, test } from "vitest";
import { cell, rate, severityTone } from "./format";
import { entityField, quote, withTerm, withoutTerm } from "./filter";
import { indent, tokens } from "./json";
import { toCsv, toNdjson, widths } from "./table";
import { clock, isRange, span } from "./time";

describe("filter", () => {
  test("a value that is not one word is quoted", () => {
    expect(quote("10.0.0.1")).toBe("10.0.0.1");
    expect(quote('say "hi" \\ x')).toBe('"say \\"hi\\" \\\\ x"');
    expect(quote("a*")).toBe('"a*"');
    expect(quote("")).toBe('""');
  });

  test("a term narrows what was there, also past an OR", () => {
    expect(withTerm("", "ip", "10.0.0.1")).toBe("ip:10.0.0.1");
    expect(withTerm("ip:10.0.0.1", "ip", "10.0.0.1")).toBe("ip:10.0.0.1");
    expect(withTerm("a OR b", "class", "DNS Activity", true)).toBe(
      '(a OR b) -class:"DNS Activity"',
    );
    expect(withTerm('(a OR b) "x OR y"', "class", "c")).toBe('(a OR b) "x OR y" class:c');
  });

  test("a term goes without leaving its AND behind", () => {
    const term = (text: string, start: number) => ({
      text,
      negated: false,
      span: { start, end: start + text.length },
    });
    expect(withoutTerm("a AND b", term("b", 6))).toBe("a");
    expect(withoutTerm("a AND b", term("a", 0))).toBe("b");
    expect(withoutTerm("a b c", term("b", 2))).toBe("a c");
    expect(withoutTerm("a", term("a", 0))).toBe("");
  });

  test("an entity pivots by its type", () => {
    expect(entityField(2)).toBe("ip");
    expect(entityField(99)).toBe("entity");
    expect(entityField(null)).toBe("entity");
  });
});

describe("raw", () => {
  test("tokens add up to any text", () => {
    for (const text of [
      '{"a": [1, -2.5e3, true, null, "x\\"y"]}',
      'broken "text {',
      "<13>Nov 1",
      "",
      '"',
    ])
      expect(
        tokens(text)
          .map((one) => one.text)
          .join(""),
      ).toBe(text);
    expect(tokens('{"a":1}').map((one) => one.kind)).toEqual([
      "mark",
      "key",
      "mark",
      "number",
      "mark",
    ]);
  });

  test("indenting never changes a number", () => {
    expect(indent('{"a":1}')).toBe('{\n  "a": 1\n}');
    expect(indent('{"a":12345678901234567890}')).toBe('{"a":12345678901234567890}');
    expect(indent("no json")).toBe("no json");
  });
});

describe("results", () => {
  const answer = {
    columns: [
      { name: "a,b", data_type: "Utf8" },
      { name: "n", data_type: "Int64" },
    ],
    rows: [
      ['say "x"', -5],
      ["=cmd()", null],
      [{ k: [1] }, 2],
    ],
    truncated: false,
    elapsed_ms: 1,
  };

  test("CSV is quoted and never a formula", () => {
    expect(toCsv(answer)).toBe('"a,b",n\r\n"say ""x""",-5\r\n\'=cmd(),\r\n"{""k"":[1]}",2\r\n');
  });

  test("NDJSON keeps types", () => {
    expect(toNdjson(answer).split("\n")[2]).toBe('{"a,b":{"k":[1]},"n":2}');
  });

  test("widths have bounds", () => {
    expect(widths(answer)).toEqual([9, 6]);
  });
});

test("words for people", () => {
  expect(span(59_000)).toBe("59 s");
  expect(span(3_600_000 * 3)).toBe("3 h");
  expect(rate(0)).toBe("0");
  expect(rate(3.14)).toBe("3.1");
  expect(severityTone(99)).toBe("info");
  expect(severityTone(6)).toBe("critical");
  expect(cell(null)).toBe("");
  expect(isRange("1h") && !isRange("constructor2")).toBe(true);
  expect(clock(new Date(2026, 0, 2, 3, 4, 5, 6).getTime())).toBe("03:04:05.006");
});
