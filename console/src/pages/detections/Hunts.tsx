import { Link } from "@tanstack/react-router";
import type { HuntView } from "../../api/types";
import { withTerm } from "../../lib/filter";
import { span, stamp } from "../../lib/time";
import page from "../../parts/Page.module.css";
import { Prose } from "../../parts/Prose";
import { Severity } from "../../parts/Severity";
import { Empty } from "../../parts/States";
import css from "./DetectionsPage.module.css";

/** Hypotheses with their schedule and what the last run came to. */
export function Hunts({ hunts }: { hunts: HuntView[] }) {
  if (hunts.length === 0) return <Empty title="No hunt">A file in content/hunts is one.</Empty>;
  return (
    <div className={page.scroll} tabIndex={0} role="region" aria-label="Hunts">
      <table className={page.table}>
        <thead>
          <tr>
            <th scope="col">Hunt</th>
            <th scope="col">Severity</th>
            <th scope="col">Schedule</th>
            <th scope="col">Last run</th>
            <th scope="col">Came to</th>
            <th scope="col">Techniques</th>
          </tr>
        </thead>
        <tbody>
          {hunts.map((hunt) => (
            <tr key={hunt.name}>
              <th scope="row" className={css.title}>
                {hunt.title}
                <span className={page.stream}>{hunt.hypothesis}</span>
              </th>
              <td>
                <Severity id={hunt.severity_id} />
              </td>
              <td>
                {hunt.every_ms === null ? "by hand" : `every ${span(hunt.every_ms)}`}
                <span className={page.stream}>looks back {span(hunt.look_back_ms)}</span>
              </td>
              <td>
                {hunt.last ? stamp(hunt.last.time).slice(5) : <span className="dim">never</span>}
              </td>
              <td className={css.reason}>
                <Came hunt={hunt} />
              </td>
              <td className={css.words}>
                {hunt.techniques.map((technique) => (
                  <span key={technique.uid} title={technique.name}>
                    {technique.uid}
                  </span>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Came({ hunt }: { hunt: HuntView }) {
  if (!hunt.last) return null;
  const { hits, detail, time } = hunt.last;
  return (
    <>
      {hits === null ? (
        "could not look"
      ) : hits === 0 ? (
        "nothing"
      ) : (
        <Link
          to="/events"
          search={{
            q: withTerm("", "finding_info.analytic.uid", `hunt:${hunt.name}`),
            from: time - hunt.look_back_ms,
            to: time + 60_000,
          }}
        >
          {hits} {hits === 1 ? "hit" : "hits"}
        </Link>
      )}
      {detail ? (
        <span className={page.stream}>
          <Prose text={detail} />
        </span>
      ) : null}
    </>
  );
}
