import type { Observable } from "../api/types";
import { entityField } from "../lib/filter";
import css from "./Entity.module.css";

interface Props {
  entity: Observable;
  onPivot: (field: string, value: string) => void;
  /** Inside a grid the arrow keys move, not Tab. */
  inGrid?: boolean;
}

/** One entity of an event; a click narrows to the events that name it. */
export function Entity({ entity, onPivot, inGrid = false }: Props) {
  if (!entity.value) return null;
  const field = entityField(entity.type_id);
  const value = entity.value;
  return (
    <button
      type="button"
      className={css.entity}
      tabIndex={inGrid ? -1 : undefined}
      title={`${entity.type ?? field}${entity.name ? `, ${entity.name}` : ""}: show events with it`}
      onClick={(event) => {
        event.stopPropagation();
        onPivot(field, value);
      }}
    >
      <span className={css.kind}>{field}</span>
      {value}
    </button>
  );
}
