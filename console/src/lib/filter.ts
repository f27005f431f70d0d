import type { FilterTerm } from "../api/types";

/** The value as the filter language writes it: in quotes when it would not stay one word. */
export function quote(value: string): string {
  const plain = /^[^\s()"*<>]+$/.test(value);
  return plain ? value : `"${value.replace(/[\\"]/g, "\\$&")}"`;
}

/** Whether a text has an OR outside parentheses and quotes, so that adding to it needs parentheses. */
function hasLooseOr(text: string): boolean {
  const bare = text.replace(/"(?:[^"\\]|\\.)*"/g, "x");
  let depth = 0;
  for (const word of bare.split(/(\(|\)|\s+)/)) {
    if (word === "(") depth += 1;
    else if (word === ")") depth -= 1;
    else if (word === "OR" && depth === 0) return true;
  }
  return false;
}

/** The filter narrowed by one more term. */
export function withTerm(filter: string, field: string, value: string, negated = false): string {
  const term = `${negated ? "-" : ""}${field}:${quote(value)}`;
  const old = filter.trim();
  if (!old) return term;
  if (old.split(/\s+/).includes(term)) return old;
  return `${hasLooseOr(old) ? `(${old})` : old} ${term}`;
}

/** The filter without one of its terms. */
export function withoutTerm(filter: string, term: FilterTerm): string {
  const before = filter.slice(0, term.span.start).replace(/\s*\bAND\s*$/, " ");
  const after = filter.slice(term.span.end);
  const joined = before.trim() ? `${before} ${after}` : after.replace(/^\s*AND\b/, "");
  return joined.replace(/\s+/g, " ").trim();
}

const ENTITY_FIELDS: Record<number, string> = {
  1: "host",
  2: "ip",
  3: "mac",
  4: "user",
  5: "email",
  6: "url",
  7: "file",
  8: "hash",
  9: "process",
  10: "resource",
  20: "host",
  21: "user",
  22: "email",
  23: "url",
  24: "file",
  25: "process",
  30: "hash",
  45: "file",
};

/** The field that pivots to an entity of this OCSF type. */
export function entityField(typeId: number | null): string {
  return (typeId !== null && ENTITY_FIELDS[typeId]) || "entity";
}
