import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useCallback, useEffect, useRef, useState, type ReactNode, type RefObject } from "react";
import { get } from "../../api/client";
import type { Histogram as HistogramData } from "../../api/types";
import type { EventsSearch } from "../../app/router";
import { withTerm } from "../../lib/filter";
import { compact, count, rate } from "../../lib/format";
import { DEFAULT_RANGE, RANGES, stamp, type RangeName } from "../../lib/time";
import { Icon } from "../../parts/Icon";
import { Empty, Failure, Loading } from "../../parts/States";
import { EventPanel } from "./EventPanel";
import { EventTable } from "./EventTable";
import { FieldSidebar } from "./FieldSidebar";
import { FilterBar, FilterChips } from "./FilterBar";
import { Histogram } from "./Histogram";
import { useTail, type Tail } from "./useTail";
import { useEvents, useKeys, useRows, useView, type View } from "./view";
import css from "./EventsPage.module.css";

const route = getRouteApi("/events");
const HISTOGRAM_REFRESH_MS = 10_000;

export function EventsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const patch = useCallback(
    (change: EventsSearch) =>
      void navigate({ to: "/events", search: (old: EventsSearch) => ({ ...old, ...change }) }),
    [navigate],
  );
  const view = useView(search);
  const [onTop, setOnTop] = useState(true);
  // A fresh table starts at its top: simpler than telling the old one to scroll.
  const [jumps, setJumps] = useState(0);
  const toTop = () => {
    setOnTop(true);
    setJumps(jumps + 1);
  };
  useEffect(() => setOnTop(true), [search.q, search.range, search.from, search.live]);
  const tail = useTail(view.filter, view.live, view.anchor);
  const events = useEvents(view);
  const rows = useRows(tail, events.rows, onTop);
  const input = useRef<HTMLInputElement>(null);
  const [cursor, setCursor] = useState<string>();
  const [fields, setFields] = useState(() => matchMedia("(min-width: 1100px)").matches);
  useKeys({
    rows: rows.shown,
    cursor,
    setCursor,
    open: search.uid,
    onOpen: (uid) => patch({ uid }),
    input,
  });

  const onTerm = useCallback(
    (field: string, value: string, negated: boolean) =>
      patch({ q: withTerm(view.filter, field, value, negated), uid: undefined }),
    [patch, view.filter],
  );
  const onPivot = useCallback(
    (field: string, value: string) => onTerm(field, value, false),
    [onTerm],
  );
  const onOpen = useCallback(
    (uid: string) => {
      setCursor(uid);
      patch({ uid });
    },
    [patch],
  );
  const showFields = fields && !(search.uid && innerWidth < 1600);

  return (
    <div className={css.page}>
      <h1 className="visually-hidden">Events</h1>
      <Toolbar
        search={search}
        view={view}
        patch={patch}
        input={input}
        fields={fields}
        setFields={setFields}
      />
      <Timeline
        view={view}
        tail={tail}
        onBrush={(from, to) => patch({ from, to, range: undefined })}
      />
      <div className={css.work}>
        {showFields ? (
          <FieldSidebar filter={view.filter} from={view.from} to={view.to} onTerm={onTerm} />
        ) : null}
        <div className={css.list}>
          <ListOr view={view} events={events} empty={rows.shown.length === 0}>
            <>
              {rows.held > 0 ? (
                <button type="button" className={css.held} onClick={toTop}>
                  {count(rows.held)} new
                </button>
              ) : null}
              <EventTable
                key={`${view.anchor} ${jumps}`}
                rows={rows.shown}
                selected={search.uid}
                cursor={cursor}
                onOpen={onOpen}
                onPivot={onPivot}
                onEnd={events.more}
                onTop={setOnTop}
              />
            </>
          </ListOr>
        </div>
        {search.uid ? (
          <EventPanel
            key={search.uid}
            uid={search.uid}
            onClose={() => patch({ uid: undefined })}
            onTerm={onTerm}
          />
        ) : null}
      </div>
    </div>
  );
}

interface ToolbarProps {
  search: EventsSearch;
  view: View;
  patch: (change: EventsSearch) => void;
  input: RefObject<HTMLInputElement | null>;
  fields: boolean;
  setFields: (fields: boolean) => void;
}

function Toolbar({ search, view, patch, input, fields, setFields }: ToolbarProps) {
  return (
    <>
      <div className={css.bar}>
        <Tooltip label={fields ? "Hide fields" : "Show fields"}>
          <ActionIcon
            variant="default"
            size={32}
            onClick={() => setFields(!fields)}
            aria-pressed={fields}
            aria-label="Fields"
          >
            <Icon name="fields" />
          </ActionIcon>
        </Tooltip>
        <FilterBar
          applied={view.filter}
          onApply={(q) => patch({ q: q || undefined, uid: undefined })}
          input={input}
        />
        <RangePicker search={search} onChange={patch} />
        <Button
          variant="default"
          size="compact-md"
          className={css.live}
          data-live={view.live}
          leftSection={<Icon name={view.live ? "pause" : "play"} size={14} />}
          onClick={() =>
            patch(view.live ? { live: false } : { live: undefined, from: undefined, to: undefined })
          }
        >
          {view.live ? "Pause" : "Live"}
        </Button>
      </div>
      <div className={css.chips}>
        <FilterChips applied={view.filter} onApply={(q) => patch({ q: q || undefined })} />
      </div>
    </>
  );
}

interface ListOrProps {
  view: View;
  events: ReturnType<typeof useEvents>;
  empty: boolean;
  children: ReactNode;
}

/** The list, or why there is none. */
function ListOr({ view, events, empty, children }: ListOrProps) {
  if (!empty) return children;
  if (events.isPending) return <Loading what="events" />;
  if (events.error) return <Failure error={events.error} retry={events.retry} />;
  return (
    <Empty title="No events here">
      {view.filter
        ? "Nothing matches the filter in this time range. "
        : "Nothing has arrived in this time range. "}
      {view.live ? "New ones appear by themselves." : "Choose a longer range."}
    </Empty>
  );
}

function Timeline({
  view,
  tail,
  onBrush,
}: {
  view: View;
  tail: Tail;
  onBrush: (from: number, to: number) => void;
}) {
  const [now, setNow] = useState(view.anchor);
  useEffect(() => {
    setNow(Date.now());
    if (!view.live) return;
    const timer = setInterval(() => setNow(Date.now()), HISTOGRAM_REFRESH_MS);
    return () => clearInterval(timer);
  }, [view]);
  const to = view.to ?? Math.max(now, view.anchor);
  const histogram = useQuery({
    queryKey: ["histogram", view.filter, to - view.range, to],
    queryFn: ({ signal }) =>
      get<HistogramData>(
        "/api/v1/events/histogram",
        { filter: view.filter, from: to - view.range, to, limit: 120 },
        signal,
      ),
    placeholderData: keepPreviousData,
  });
  return (
    <div className={css.timeline}>
      <div className={css.facts}>
        <span>
          <strong className="num">{histogram.data ? count(histogram.data.total) : "–"}</strong>{" "}
          events
        </span>
        {view.live ? (
          <span className={css.rate} data-connected={tail.connected}>
            {tail.connected
              ? `${tail.rate === null ? "–" : rate(tail.rate)}/s live`
              : "connecting…"}
          </span>
        ) : (
          <span className="dim">{view.to ? `until ${stamp(view.to)}` : ""}</span>
        )}
        {tail.skipped > 0 ? (
          <span className="dim" title="More arrived than can be read; all of them are in the lake">
            {compact(tail.skipped)} not shown live
          </span>
        ) : null}
      </div>
      <Histogram data={histogram.data} onBrush={onBrush} />
    </div>
  );
}

function RangePicker({
  search,
  onChange,
}: {
  search: EventsSearch;
  onChange: (change: EventsSearch) => void;
}) {
  const fixed = search.from !== undefined && search.to !== undefined;
  return (
    <select
      className={css.range}
      aria-label="Time range"
      value={fixed ? "fixed" : (search.range ?? DEFAULT_RANGE)}
      onChange={(event) =>
        onChange({ range: event.currentTarget.value as RangeName, from: undefined, to: undefined })
      }
    >
      {fixed ? (
        <option value="fixed">{`${stamp(search.from!)} – ${stamp(search.to!).slice(11)}`}</option>
      ) : null}
      {Object.keys(RANGES).map((name) => (
        <option
          key={name}
          value={name}
        >{`Last ${name.replace(/(\d+)(.)/, "$1 $2").replace("m", "min")}`}</option>
      ))}
    </select>
  );
}
