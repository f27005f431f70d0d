import type { IncidentDetail } from "../../api/types";
import { severityTone } from "../../lib/format";
import { lanes } from "../../lib/incident";
import { stamp } from "../../lib/time";
import css from "./IncidentPage.module.css";

const LANE = 30;

/** Findings by time and tool, with the joins between them; the list below says the same in words. */
export function Timeline({ incident }: { incident: IncidentDetail }) {
  const { names, marks, lines, begin, end } = lanes(incident);
  if (names.length === 0) return null;
  const y = (lane: number) => lane * LANE + LANE / 2;
  const show = (finding: number) => {
    const target = document.getElementById(`finding-${finding + 1}`);
    target?.scrollIntoView({ block: "center" });
    target?.focus();
  };
  return (
    <div className={css.timeline} aria-hidden="true">
      <ul className={css.lanes}>
        {names.map((name) => (
          <li key={name}>{name}</li>
        ))}
      </ul>
      <svg className={css.track} width="100%" height={names.length * LANE}>
        {names.map((name, lane) => (
          <line key={name} className={css.lane} x1="0" x2="100%" y1={y(lane)} y2={y(lane)} />
        ))}
        {lines.map(([from, to], at) => (
          <line
            key={at}
            className={css.line}
            x1={`${from.at}%`}
            y1={y(from.lane)}
            x2={`${to.at}%`}
            y2={y(to.lane)}
          />
        ))}
        {marks.map((mark) => (
          <circle
            key={`${mark.finding} ${mark.lane}`}
            className={css.mark}
            data-tone={severityTone(mark.severity_id)}
            cx={`${mark.at}%`}
            cy={y(mark.lane)}
            r="6"
            onClick={() => show(mark.finding)}
          >
            <title>{`${mark.finding + 1}: ${incident.members[mark.finding]?.title ?? ""}`}</title>
          </circle>
        ))}
      </svg>
      <p className={css.ends}>
        <span>{stamp(begin)}</span>
        <span>{end > begin ? stamp(end) : ""}</span>
      </p>
    </div>
  );
}
