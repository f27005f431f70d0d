import { severityName, severityTone } from "../lib/format";
import css from "./Severity.module.css";

/** A coloured mark and the word: colour alone never carries it. */
export function Severity({ id }: { id: number }) {
  return (
    <span className={css.severity} data-tone={severityTone(id)}>
      {severityName(id)}
    </span>
  );
}
