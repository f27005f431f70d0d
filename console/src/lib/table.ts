import type { Json, QueryAnswer } from "../api/types";
import { cell } from "./format";

function csvCell(text: string): string {
  // A spreadsheet would run what begins like a formula.
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}

export function toCsv(answer: QueryAnswer): string {
  const lines = [answer.columns.map((column) => csvCell(column.name)).join(",")];
  for (const row of answer.rows) lines.push(row.map((value) => csvCell(cell(value))).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

export function toNdjson(answer: QueryAnswer): string {
  const lines = answer.rows.map((row) => {
    const object: Record<string, Json> = {};
    answer.columns.forEach((column, at) => (object[column.name] = row[at] ?? null));
    return JSON.stringify(object);
  });
  return lines.map((line) => `${line}\n`).join("");
}

/** Column widths in characters from a sample of the rows. */
export function widths(answer: QueryAnswer): number[] {
  const sample = answer.rows.slice(0, 60);
  return answer.columns.map((column, at) => {
    const longest = Math.max(column.name.length + 2, ...sample.map((row) => cell(row[at]).length));
    return Math.min(52, Math.max(6, longest));
  });
}

export function isNumeric(type: string): boolean {
  return /^(u?int|float|decimal)/i.test(type);
}
