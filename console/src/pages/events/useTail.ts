import { useEffect, useRef, useState } from "react";
import { path } from "../../api/client";
import type { EventRow, TailBatch } from "../../api/types";

/** Most rows that the tail keeps: older ones are in the lake. */
const ROWS_MAX = 2_000;
/** The window over which the rate is taken. */
const RATE_MS = 5_000;

export interface Tail {
  /** Latest first. */
  rows: EventRow[];
  /** Events per second, matching or not; none before the first batch. */
  rate: number | null;
  skipped: number;
  connected: boolean;
}

const NOTHING: Tail = { rows: [], rate: null, skipped: 0, connected: false };

/** Follows events from now on while `on`. */
export function useTail(filter: string, on: boolean, since: number): Tail {
  const [tail, setTail] = useState(NOTHING);
  const seen = useRef<{ at: number; count: number }[]>([]);
  const begun = useRef(0);

  useEffect(() => {
    setTail(NOTHING);
    seen.current = [];
    begun.current = Date.now();
    if (!on) return;
    const source = new EventSource(path("/api/v1/events/tail", { filter }));
    const rate = () => {
      const now = Date.now();
      seen.current = seen.current.filter((one) => one.at > now - RATE_MS);
      return (
        seen.current.reduce((sum, one) => sum + one.count, 0) /
        (Math.min(RATE_MS, Math.max(1_000, now - begun.current)) / 1_000)
      );
    };
    source.onopen = () => setTail((old) => ({ ...old, connected: true }));
    source.onerror = () => setTail((old) => ({ ...old, connected: false }));
    source.addEventListener("batch", (event: MessageEvent<string>) => {
      const batch = JSON.parse(event.data) as TailBatch;
      seen.current.push({ at: Date.now(), count: batch.seen });
      setTail((old) => ({
        rows: [...batch.rows.reverse(), ...old.rows].slice(0, ROWS_MAX),
        rate: rate(),
        skipped: old.skipped + batch.skipped,
        connected: true,
      }));
    });
    const timer = setInterval(() => setTail((old) => ({ ...old, rate: rate() })), 1_000);
    return () => {
      clearInterval(timer);
      source.close();
    };
  }, [filter, on, since]);

  return tail;
}
