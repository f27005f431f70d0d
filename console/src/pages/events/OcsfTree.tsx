import { useState } from "react";
import type { Json } from "../../api/types";
import { Icon } from "../../parts/Icon";
import css from "./OcsfTree.module.css";

/** Deeper levels start closed. */
const OPEN_LEVELS = 2;
/** Longer lists show how many there are more. */
const ITEMS_MAX = 200;

type OnTerm = (field: string, value: string, negated: boolean) => void;

/** An event as a tree; a value can be searched for where the filter can name its path. */
export function OcsfTree({ value, onTerm }: { value: { [key: string]: Json }; onTerm: OnTerm }) {
  return (
    <ul className={css.tree}>
      {Object.entries(value).map(([key, child]) => (
        <Node key={key} name={key} path={key} value={child} level={0} onTerm={onTerm} />
      ))}
    </ul>
  );
}

interface NodeProps {
  name: string;
  /** None below a list or below what is not OCSF: the filter cannot name it. */
  path: string | null;
  value: Json;
  level: number;
  onTerm: OnTerm;
}

function Node({ name, path, value, level, onTerm }: NodeProps) {
  const [open, setOpen] = useState(
    level < OPEN_LEVELS - 1 && name !== "unmapped" && !Array.isArray(value),
  );
  if (value === null || typeof value !== "object") {
    return <Leaf name={name} path={path} value={value} onTerm={onTerm} />;
  }
  const list = Array.isArray(value);
  const entries: [string, Json][] = list
    ? value.map((item, at) => [String(at), item])
    : Object.entries(value);
  const named = list || name === "unmapped" || path === null ? null : path;
  return (
    <li>
      <button
        type="button"
        className={css.branch}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <Icon name={open ? "down" : "right"} size={13} />
        <span className={css.key}>{name}</span>
        <span className={css.size}>
          {list ? `${entries.length} items` : open ? "" : summary(entries)}
        </span>
      </button>
      {open ? (
        <ul className={css.tree}>
          {entries.slice(0, ITEMS_MAX).map(([key, child]) => (
            <Node
              key={key}
              name={key}
              path={named === null ? null : `${named}.${key}`}
              value={child}
              level={level + 1}
              onTerm={onTerm}
            />
          ))}
          {entries.length > ITEMS_MAX ? (
            <li className={css.size}>{entries.length - ITEMS_MAX} more</li>
          ) : null}
        </ul>
      ) : null}
    </li>
  );
}

function summary(entries: [string, Json][]): string {
  const words = entries
    .filter(([, value]) => value !== null && typeof value !== "object")
    .map(([, value]) => String(value));
  return words.slice(0, 3).join(", ");
}

function Leaf({
  name,
  path,
  value,
  onTerm,
}: {
  name: string;
  path: string | null;
  value: Json;
  onTerm: OnTerm;
}) {
  const text = String(value);
  const field = path;
  return (
    <li className={css.leaf}>
      <span className={css.key}>{name}</span>
      <span className={css.value} data-type={typeof value}>
        {text}
      </span>
      {field !== null && value !== null ? (
        <span className={css.actions}>
          <button
            type="button"
            title="Only events with this"
            aria-label={`Only events with ${field} ${text}`}
            onClick={() => onTerm(field, text, false)}
          >
            <Icon name="plus" size={12} />
          </button>
          <button
            type="button"
            title="Exclude events with this"
            aria-label={`Exclude events with ${field} ${text}`}
            onClick={() => onTerm(field, text, true)}
          >
            <Icon name="minus" size={12} />
          </button>
        </span>
      ) : null}
    </li>
  );
}
