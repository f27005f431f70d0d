import { useQuery } from "@tanstack/react-query";
import { get } from "../../api/client";
import type { FeedView, IntelligenceState } from "../../api/types";
import { count } from "../../lib/format";
import { span, stamp } from "../../lib/time";
import page from "../../parts/Page.module.css";
import { Prose } from "../../parts/Prose";
import { Empty, Failure, Loading } from "../../parts/States";
import css from "./SourcesPage.module.css";

const REFRESH_MS = 5_000;

/** Indicators of others: the feeds that bring them, and what there is. */
export function Intelligence() {
  const known = useQuery({
    queryKey: ["intelligence"],
    queryFn: () => get<IntelligenceState>("/api/v1/intelligence"),
    refetchInterval: REFRESH_MS,
  });
  return (
    <section aria-labelledby="intelligence">
      <h2 className={page.heading} id="intelligence">
        Threat intelligence
      </h2>
      {known.isPending ? (
        <Loading what="intelligence" />
      ) : known.isError ? (
        <Failure error={known.error} retry={() => void known.refetch()} />
      ) : (
        <Known state={known.data} />
      )}
    </section>
  );
}

function Known({ state }: { state: IntelligenceState }) {
  if (state.feeds.length === 0 && state.sources.length === 0)
    return (
      <Empty title="No indicator yet">
        Name a feed in weft.toml, or import one with <code className="mono">weft intel import</code>
        .
      </Empty>
    );
  return (
    <>
      <p className={css.balance}>
        {count(state.exact)} values and {count(state.networks)} networks are matched with every
        event; {count(state.warning_lists)} warning lists are asked first.
      </p>
      {state.faults.map((fault) => (
        <p key={fault} className={css.balance} data-balances="false">
          <Prose text={fault} />
        </p>
      ))}
      {state.feeds.length > 0 ? <Feeds feeds={state.feeds} sources={state.sources} /> : null}
      <Imported state={state} />
    </>
  );
}

function Feeds({ feeds, sources }: { feeds: FeedView[]; sources: IntelligenceState["sources"] }) {
  const now = Date.now();
  const indicators = (name: string) => sources.find((one) => one.name === name)?.indicators ?? 0;
  return (
    <div className={page.scroll} tabIndex={0} role="region" aria-label="Feeds">
      <table className={page.table}>
        <thead>
          <tr>
            <th scope="col">Feed</th>
            <th scope="col">State</th>
            <th scope="col" className={page.right}>
              Indicators
            </th>
            <th scope="col">Last success</th>
            <th scope="col">Imported</th>
            <th scope="col">Next look</th>
          </tr>
        </thead>
        <tbody>
          {feeds.map((feed) => (
            <tr key={feed.name}>
              <th scope="row" className={css.feed}>
                {feed.name}
                <span className={page.stream}>{feed.from}</span>
              </th>
              <td>
                <Health feed={feed} />
              </td>
              <td className={page.right}>{count(indicators(feed.name))}</td>
              <td>{feed.success_ms === null ? "never" : `${span(now - feed.success_ms)} ago`}</td>
              <td>{feed.changed_ms === null ? "never" : `${span(now - feed.changed_ms)} ago`}</td>
              <td>
                {feed.next_ms === null
                  ? "looking now"
                  : feed.next_ms <= now
                    ? "now"
                    : `in ${span(feed.next_ms - now)}`}
                <span className={page.stream}>every {span(feed.every_ms)}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Health({ feed }: { feed: FeedView }) {
  const health = feed.error ? "failed" : feed.success_ms === null ? "idle" : "running";
  const names = { failed: "Failed", idle: "Not fetched yet", running: "Fetched" };
  return (
    <>
      <span className={css.health} data-health={health}>
        {names[health]}
      </span>
      {feed.error ? (
        <span className={css.reason}>
          <Prose text={feed.error} />
          {feed.faults > 1 ? `, ${feed.faults} times in a row` : ""}
        </span>
      ) : null}
      {feed.remarks.slice(0, 3).map((remark) => (
        <span key={remark} className={css.reason}>
          <Prose text={remark} />
        </span>
      ))}
    </>
  );
}

function Imported({ state }: { state: IntelligenceState }) {
  if (state.sources.length === 0) return null;
  return (
    <div
      className={`${page.scroll} ${css.below}`}
      tabIndex={0}
      role="region"
      aria-label="Sources of indicators"
    >
      <table className={page.table}>
        <thead>
          <tr>
            <th scope="col">Source of indicators</th>
            <th scope="col" className={page.right}>
              Matched
            </th>
            <th scope="col" className={page.right}>
              Suppressed
            </th>
            <th scope="col" className={page.right}>
              Not taken
            </th>
            <th scope="col">Imported</th>
          </tr>
        </thead>
        <tbody>
          {state.sources.map((source) => (
            <tr key={source.name}>
              <th scope="row" className={css.feed}>
                {source.name}
                <span className={page.stream}>{source.origin}</span>
              </th>
              <td className={page.right}>{count(source.indicators)}</td>
              <td className={page.right}>{count(source.suppressed)}</td>
              <td className={page.right}>{count(source.gaps)}</td>
              <td>{stamp(source.imported_ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
