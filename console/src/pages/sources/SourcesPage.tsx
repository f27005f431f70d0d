import { useQuery } from "@tanstack/react-query";
import { get } from "../../api/client";
import type { PollState, RejectGroup, SourceHealth, SourceState } from "../../api/types";
import { bytes, count, rate } from "../../lib/format";
import { span, stamp } from "../../lib/time";
import { Prose } from "../../parts/Prose";
import { Empty, Failure, Loading } from "../../parts/States";
import { Totals } from "../../parts/Totals";
import { Intelligence } from "./Intelligence";
import { Ledger } from "./Ledger";
import page from "../../parts/Page.module.css";
import css from "./SourcesPage.module.css";

const REFRESH_MS = 2_000;
const HEALTH: Record<SourceHealth, string> = {
  running: "Running",
  idle: "Idle",
  waiting: "Waiting",
  failed: "Failed",
};

export function SourcesPage() {
  const sources = useQuery({
    queryKey: ["sources"],
    queryFn: () => get<SourceState[]>("/api/v1/sources"),
    refetchInterval: REFRESH_MS,
  });
  const rejects = useQuery({
    queryKey: ["rejects"],
    queryFn: () => get<RejectGroup[]>("/api/v1/rejects"),
    refetchInterval: REFRESH_MS,
  });
  if (sources.isPending) return <Loading what="sources" />;
  if (sources.isError)
    return <Failure error={sources.error} retry={() => void sources.refetch()} />;
  return (
    <div className={page.page} tabIndex={0} role="region" aria-label="Sources and rejects">
      <div className={page.inner}>
        <Head sources={sources.data} />
        <SourceTable sources={sources.data} />
        <Ledger />
        <Intelligence />
        <h2 className={page.heading}>Rejects by cause</h2>
        {rejects.isPending ? (
          <Loading what="rejects" />
        ) : rejects.isError ? (
          <Failure error={rejects.error} retry={() => void rejects.refetch()} />
        ) : (
          <RejectTable rejects={rejects.data} />
        )}
      </div>
    </div>
  );
}

function Head({ sources }: { sources: SourceState[] }) {
  const sum = (of: (source: SourceState) => number) =>
    sources.reduce((total, source) => total + of(source), 0);
  const read = sum((source) => source.read);
  const rejected = sum((source) => source.rejected);
  const facts: [string, string][] = [
    [`${rate(sum((source) => source.records_per_second))}/s`, "records"],
    [`${bytes(sum((source) => source.bytes_per_second))}/s`, "raw"],
    [count(read), "read since the start"],
    [
      read === 0 ? "–" : `${((100 * rejected) / read).toFixed(rejected === 0 ? 0 : 3)} %`,
      "rejected",
    ],
  ];
  return <Totals title="Sources" facts={facts} />;
}

/** Last success, lag, faults in a row and the next poll, in one line. */
function polled(poll: PollState, now: number) {
  const parts = [
    poll.success_ms === null
      ? "never polled with success"
      : `polled ${span(now - poll.success_ms)} ago`,
  ];
  if (poll.lag_ms !== null) parts.push(`newest record ${span(poll.lag_ms)} behind`);
  if (poll.faults > 0)
    parts.push(`${poll.faults} ${poll.faults === 1 ? "fault" : "faults"} in a row`);
  if (poll.next_ms !== null) {
    parts.push(poll.next_ms > now ? `next in ${span(poll.next_ms - now)}` : "polling now");
  }
  return parts.join(", ");
}

function SourceTable({ sources }: { sources: SourceState[] }) {
  if (sources.length === 0) {
    return (
      <Empty title="No source yet">
        Send records over HTTP or syslog, or name a folder in the configuration.
      </Empty>
    );
  }
  const now = Date.now();
  return (
    <div className={page.scroll} tabIndex={0} role="region" aria-label="Sources">
      <table className={page.table}>
        <thead>
          <tr>
            <th scope="col">Source</th>
            <th scope="col">State</th>
            <th scope="col" className={page.right}>
              Records/s
            </th>
            <th scope="col">Recent</th>
            <th scope="col" className={page.right}>
              Raw/s
            </th>
            <th scope="col" className={page.right}>
              Read
            </th>
            <th scope="col" className={page.right}>
              Mapped
            </th>
            <th scope="col" className={page.right}>
              Rejected
            </th>
            <th scope="col" className={page.right}>
              Last
            </th>
          </tr>
        </thead>
        <tbody>
          {sources.map((source) => (
            <tr key={`${source.source} ${source.stream}`}>
              <th scope="row">
                {source.source}
                <span className={page.stream}>{source.stream}</span>
              </th>
              <td>
                <span className={css.health} data-health={source.health}>
                  {HEALTH[source.health]}
                </span>
                {source.reason ? (
                  <span className={css.reason}>
                    <Prose text={source.reason} />
                  </span>
                ) : null}
                {source.poll ? (
                  <span className={css.reason}>{polled(source.poll, now)}</span>
                ) : null}
              </td>
              <td className={page.right}>{rate(source.records_per_second)}</td>
              <td>
                <Curve values={source.recent} />
              </td>
              <td className={page.right}>{bytes(source.bytes_per_second)}</td>
              <td className={page.right}>{count(source.read)}</td>
              <td className={page.right}>{count(source.mapped)}</td>
              <td className={page.right} data-some={source.rejected > 0}>
                {count(source.rejected)}
              </td>
              <td className={page.right}>
                {source.last_ms === null ? "never" : `${span(now - source.last_ms)} ago`}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A small curve; the figures beside it say the same in words. */
function Curve({ values }: { values: number[] }) {
  if (values.length < 2) return null;
  const most = Math.max(...values, 0.001);
  const points = values.map(
    (value, at) =>
      `${((at / (values.length - 1)) * 96).toFixed(1)},${(20 - (value / most) * 18).toFixed(1)}`,
  );
  return (
    <svg className={css.curve} width="96" height="22" viewBox="0 0 96 22" aria-hidden="true">
      <polyline points={points.join(" ")} />
    </svg>
  );
}

function RejectTable({ rejects }: { rejects: RejectGroup[] }) {
  if (rejects.length === 0)
    return <Empty title="No rejects">Every raw record became an event.</Empty>;
  return (
    <div className={page.scroll} tabIndex={0} role="region" aria-label="Rejects">
      <table className={page.table}>
        <thead>
          <tr>
            <th scope="col">Stream</th>
            <th scope="col">Cause</th>
            <th scope="col" className={page.right}>
              Count
            </th>
            <th scope="col" className={page.right}>
              Last
            </th>
            <th scope="col">Example</th>
          </tr>
        </thead>
        <tbody>
          {rejects.map((group) => (
            <tr key={group.group}>
              <th scope="row">
                {group.stream}
                <span className={page.stream}>{group.group}</span>
              </th>
              <td className={css.cause}>
                <Prose text={group.cause} />
              </td>
              <td className={page.right}>{count(group.count)}</td>
              <td className={page.right}>{stamp(group.last_ms).slice(5)}</td>
              <td className={css.example} title={group.example}>
                {group.example}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
