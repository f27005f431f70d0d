import { useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState, type RefObject } from "react";
import { get } from "../../api/client";
import type { EventPage, EventRow } from "../../api/types";
import { inText } from "../../app/keys";
import type { EventsSearch } from "../../app/router";
import { DEFAULT_RANGE, RANGES } from "../../lib/time";
import type { Tail } from "./useTail";

const PAGE_ROWS = 200;

export interface View {
  filter: string;
  from: number;
  to: number | undefined;
  live: boolean;
  range: number;
  /** When the relative range was last taken from the clock. */
  anchor: number;
}

export function useView(search: EventsSearch): View {
  const { q = "", range = DEFAULT_RANGE, from, to, live } = search;
  const anchor = useMemo(() => Date.now(), [q, range, from, to, live]);
  return useMemo(() => {
    if (from !== undefined && to !== undefined) {
      return { filter: q, from, to, live: false, range: to - from, anchor };
    }
    const length = RANGES[range];
    const paused = live === false;
    return {
      filter: q,
      from: anchor - length,
      to: paused ? anchor : undefined,
      live: !paused,
      range: length,
      anchor,
    };
  }, [q, range, from, to, live, anchor]);
}

export function useEvents(view: View) {
  const query = useInfiniteQuery({
    queryKey: ["events", view.filter, view.from, view.to],
    queryFn: ({ pageParam, signal }) =>
      get<EventPage>(
        "/api/v1/events",
        {
          filter: view.filter,
          from: view.from,
          to: view.to,
          limit: PAGE_ROWS,
          before: pageParam?.time,
          before_uid: pageParam?.uid,
        },
        signal,
      ),
    initialPageParam: null as EventRow | null,
    getNextPageParam: (last) => (last.more ? last.rows[last.rows.length - 1] : undefined),
    staleTime: Infinity,
  });
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.rows) ?? [], [query.data]);
  return {
    rows,
    more,
    isPending: query.isPending,
    error: query.error,
    retry: () => void query.refetch(),
  };
}

/** Puts arrivals on top, but not under the eyes of someone who reads further down. */
export function useRows(tail: Tail, older: EventRow[], onTop: boolean) {
  const [released, setReleased] = useState(tail.rows);
  useEffect(() => {
    if (onTop || tail.rows.length === 0) setReleased(tail.rows);
  }, [onTop, tail.rows]);
  return useMemo(() => {
    const known = new Set<string>();
    const shown = [...released, ...older].filter(
      (row) => !known.has(row.uid) && known.add(row.uid),
    );
    const newest = released[0]?.uid;
    const at = tail.rows.findIndex((row) => row.uid === newest);
    const held = onTop ? 0 : at < 0 ? tail.rows.length : at;
    return { shown, held };
  }, [released, older, tail.rows, onTop]);
}

interface Keys {
  rows: EventRow[];
  cursor: string | undefined;
  setCursor: (uid: string) => void;
  open: string | undefined;
  onOpen: (uid: string | undefined) => void;
  input: RefObject<HTMLInputElement | null>;
}

export function useKeys(keys: Keys) {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const { rows, cursor, setCursor, open, onOpen, input } = latest.current;
      if (
        inText(event) ||
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        document.querySelector('[role="dialog"]')
      )
        return;
      const at = rows.findIndex((row) => row.uid === (cursor ?? open));
      const move = (step: number) => {
        const row = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
        if (!row) return;
        setCursor(row.uid);
        if (open) onOpen(row.uid);
      };
      const onButton =
        event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement;
      if (event.key === "/") input.current?.focus();
      else if (event.key === "j" || event.key === "ArrowDown") move(1);
      else if (event.key === "k" || event.key === "ArrowUp") move(-1);
      else if (event.key === "Enter" && cursor && !onButton) onOpen(cursor);
      else if (event.key === "Escape" && open) onOpen(undefined);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}
