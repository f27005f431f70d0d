import { useState } from "react";
import type { TableInfo } from "../../api/types";
import { compact } from "../../lib/format";
import { Icon } from "../../parts/Icon";
import css from "./Tables.module.css";

interface Props {
  tables: TableInfo[];
  pending: boolean;
  error: Error | null;
  onInsert: (text: string) => void;
}

/** The path as SQL reads it. */
function asSql(path: string): string {
  const [head = "", ...rest] = path.split(".");
  return head + rest.map((part) => `['${part}']`).join("");
}

export function Tables({ tables, pending, error, onInsert }: Props) {
  const [open, setOpen] = useState<string>();
  const [wanted, setWanted] = useState("");
  const word = wanted.trim().toLowerCase();
  const fits = (table: TableInfo) =>
    table.name.includes(word) || table.columns.some((column) => column.path.includes(word));
  return (
    <aside className={css.tables} aria-label="Tables">
      <input
        className={css.search}
        type="search"
        placeholder="Table or column"
        aria-label="Find a table or column"
        value={wanted}
        onChange={(event) => setWanted(event.currentTarget.value)}
      />
      {pending ? <p className={css.note}>…</p> : null}
      {error ? <p className={css.note}>{error.message}</p> : null}
      {!pending && !error && tables.length === 0 ? (
        <p className={css.note}>The lake is empty.</p>
      ) : null}
      <ul>
        {tables
          .filter((table) => word === "" || fits(table))
          .map((table) => {
            const shown = open === table.name || (word !== "" && !table.name.includes(word));
            const columns = table.columns.filter(
              (column) => word === "" || table.name.includes(word) || column.path.includes(word),
            );
            return (
              <li key={table.name}>
                <button
                  type="button"
                  className={css.table}
                  aria-expanded={shown}
                  onClick={() => setOpen(shown ? undefined : table.name)}
                >
                  <Icon name={shown ? "down" : "right"} size={13} />
                  <span>{table.name}</span>
                  <span className={css.rows}>{table.rows === null ? "" : compact(table.rows)}</span>
                </button>
                {shown ? (
                  <ul>
                    <li>
                      <button
                        type="button"
                        className={css.column}
                        onClick={() => onInsert(table.name)}
                      >
                        <em>insert the name</em>
                      </button>
                    </li>
                    {columns.slice(0, 300).map((column) => (
                      <li key={column.path}>
                        <button
                          type="button"
                          className={css.column}
                          title={`${column.path}: ${column.data_type}`}
                          onClick={() => onInsert(asSql(column.path))}
                        >
                          <span>{column.path}</span>
                          <span className={css.kind}>
                            {column.kind === "other" ? "" : column.kind.replace("_", " ")}
                          </span>
                        </button>
                      </li>
                    ))}
                  </ul>
                ) : null}
              </li>
            );
          })}
      </ul>
    </aside>
  );
}
