import type { Json } from "../api/types";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export function count(value: number): string {
  return whole.format(value);
}

export function compact(value: number): string {
  return short.format(value);
}

/** A rate with as many digits as a person reads. */
export function rate(value: number): string {
  if (value === 0) return "0";
  return value < 10 ? value.toFixed(1) : compact(value);
}

export function bytes(value: number): string {
  if (value < 1000) return `${Math.round(value)} B`;
  if (value < 1_000_000) return `${(value / 1000).toFixed(1)} kB`;
  return `${(value / 1_000_000).toFixed(1)} MB`;
}

const SEVERITIES = ["Unknown", "Info", "Low", "Medium", "High", "Critical", "Fatal"];

/** OCSF severity in a word. */
export function severityName(id: number): string {
  return SEVERITIES[id] ?? "Other";
}

export type SeverityTone = "info" | "low" | "medium" | "high" | "critical";

export function severityTone(id: number): SeverityTone {
  if (id === 2) return "low";
  if (id === 3) return "medium";
  if (id === 4) return "high";
  if (id === 5 || id === 6) return "critical";
  return "info";
}

/** A value of a result as one line of text. */
export function cell(value: Json | undefined): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
