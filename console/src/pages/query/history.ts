const KEY = "weft-query-history";
const STATEMENTS_MAX = 50;

export interface Past {
  sql: string;
  at: number;
}

/** Statements that ran, latest first; kept in this browser only. */
export function past(): Past[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    if (!Array.isArray(kept)) return [];
    return kept.filter(
      (one): one is Past => typeof one?.sql === "string" && typeof one?.at === "number",
    );
  } catch {
    return [];
  }
}

export function remember(sql: string, at: number): Past[] {
  const kept = [{ sql, at }, ...past().filter((one) => one.sql !== sql)].slice(0, STATEMENTS_MAX);
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // Storage is off or full: the statement itself is in the address.
  }
  return kept;
}
