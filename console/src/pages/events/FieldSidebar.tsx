import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get } from "../../api/client";
import type { FieldValues } from "../../api/types";
import { compact, count, severityName } from "../../lib/format";
import { Icon } from "../../parts/Icon";
import css from "./FieldSidebar.module.css";

const FIELDS: { field: string; name: string; open?: boolean }[] = [
  { field: "class", name: "Class", open: true },
  { field: "product", name: "Product", open: true },
  { field: "severity_id", name: "Severity", open: true },
  { field: "user", name: "User", open: true },
  { field: "ip", name: "IP address" },
  { field: "host", name: "Host" },
  { field: "activity", name: "Activity" },
  { field: "status", name: "Status" },
  { field: "hash", name: "Hash" },
  { field: "log", name: "Log" },
];

interface Props {
  filter: string;
  from: number;
  to: number | undefined;
  onTerm: (field: string, value: string, negated: boolean) => void;
}

export function FieldSidebar(props: Props) {
  return (
    <aside className={css.sidebar} aria-label="Fields">
      {FIELDS.map((one) => (
        <Field key={one.field} {...props} {...one} />
      ))}
    </aside>
  );
}

function Field({
  field,
  name,
  open: openAtFirst = false,
  filter,
  from,
  to,
  onTerm,
}: Props & (typeof FIELDS)[number]) {
  const [open, setOpen] = useState(openAtFirst);
  const values = useQuery({
    queryKey: ["field", field, filter, from, to],
    queryFn: ({ signal }) =>
      get<FieldValues>("/api/v1/events/fields", { field, filter, from, to }, signal),
    enabled: open,
    staleTime: 30_000,
  });
  const list = values.data?.values ?? [];
  const most = Math.max(1, ...list.map((one) => one.count));
  return (
    <section className={css.field}>
      <h2 className={css.heading}>
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          <Icon name={open ? "down" : "right"} size={14} />
          {name}
        </button>
      </h2>
      {!open ? null : values.isPending ? (
        <p className={css.note}>…</p>
      ) : values.isError ? (
        <p className={css.note}>{values.error.message}</p>
      ) : list.length === 0 ? (
        <p className={css.note}>no values</p>
      ) : (
        <ul className={css.values}>
          {list.map(({ value, count: n }) => {
            const shown = field === "severity_id" ? severityName(Number(value)) : value;
            return (
              <li key={value} className={css.value}>
                <button
                  type="button"
                  className={css.include}
                  title={`${value}: ${count(n)} events; show only these`}
                  onClick={() => onTerm(field, value, false)}
                >
                  <span className={css.text}>{shown}</span>
                  <span className={css.count}>{compact(n)}</span>
                  <span className={css.bar} style={{ width: `${(100 * n) / most}%` }} />
                </button>
                <button
                  type="button"
                  className={css.exclude}
                  aria-label={`Exclude ${shown}`}
                  title="Exclude"
                  onClick={() => onTerm(field, value, true)}
                >
                  <Icon name="minus" size={12} />
                </button>
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}
