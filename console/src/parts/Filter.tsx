import type { ReactNode } from "react";
import css from "./Filter.module.css";

interface Props {
  id: string;
  label: string;
  placeholder: string;
  text: string | undefined;
  onText: (text: string | undefined) => void;
  /** Links, one a state. */
  children: ReactNode;
  /** How much is shown. */
  shown: string;
}

/** What is above a list: a text to look for, the states to choose from, and how much is left. */
export function Filter({ id, label, placeholder, text, onText, children, shown }: Props) {
  return (
    <div className={css.bar}>
      <input
        id={id}
        className={css.filter}
        type="search"
        aria-label={label}
        placeholder={placeholder}
        value={text ?? ""}
        onChange={(event) => onText(event.currentTarget.value || undefined)}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
      <div className={css.states} role="group" aria-label="State">
        {children}
      </div>
      <span className={css.shown} role="status">
        {shown}
      </span>
    </div>
  );
}
