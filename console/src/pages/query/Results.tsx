import {
  createColumnHelper,
  createSortedRowModel,
  rowSortingFeature,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef } from "react";
import type { Json, QueryAnswer } from "../../api/types";
import { cell as asText } from "../../lib/format";
import { isNumeric, widths } from "../../lib/table";
import css from "./Results.module.css";

type Row = Json[];

/** Numbers by size, everything else as text; what is absent comes last. */
function compare(a: Json | undefined, b: Json | undefined): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
  if (b === null || b === undefined) return -1;
  return asText(a).localeCompare(asText(b));
}

const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel() });
const helper = createColumnHelper<typeof features, Row>();

export function Results({ answer }: { answer: QueryAnswer }) {
  const scroller = useRef<HTMLDivElement>(null);
  const columns = useMemo(
    () =>
      helper.columns(
        answer.columns.map((column, at) =>
          helper.accessor((row) => row[at] ?? null, {
            id: `${at}`,
            header: column.name,
            cell: (cell) => asText(cell.getValue()),
            sortFn: (a, b) => compare(a.original[at], b.original[at]),
          }),
        ),
      ),
    [answer],
  );
  const table = useTable({ features, columns, data: answer.rows });
  const rows = table.getRowModel().rows;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 27,
    overscan: 14,
  });
  const template = useMemo(
    () =>
      ["56px", ...widths(answer).map((chars) => `minmax(${chars * 7.4 + 20}px, ${chars}fr)`)].join(
        " ",
      ),
    [answer],
  );
  const total = useMemo(
    () => 56 + widths(answer).reduce((sum, chars) => sum + chars * 7.4 + 20, 0),
    [answer],
  );
  const numeric = answer.columns.map((column) => isNumeric(column.data_type));

  return (
    <div
      ref={scroller}
      className={css.scroller}
      role="grid"
      aria-label="Result"
      aria-rowcount={rows.length + 1}
      tabIndex={0}
    >
      {table.getHeaderGroups().map((group) => (
        <div
          key={group.id}
          role="row"
          className={css.header}
          style={{ gridTemplateColumns: template, minWidth: total }}
        >
          <div role="columnheader" className={css.number}>
            <span className="visually-hidden">Row</span>
          </div>
          {group.headers.map((header, at) => {
            const sorted = header.column.getIsSorted();
            return (
              <div
                key={header.id}
                role="columnheader"
                aria-sort={
                  sorted === "asc" ? "ascending" : sorted === "desc" ? "descending" : "none"
                }
                data-numeric={numeric[at]}
              >
                <button
                  type="button"
                  title={answer.columns[at]?.data_type}
                  onClick={header.column.getToggleSortingHandler()}
                >
                  <table.FlexRender header={header} />
                  <span aria-hidden="true">
                    {sorted === "asc" ? " ↑" : sorted === "desc" ? " ↓" : ""}
                  </span>
                </button>
              </div>
            );
          })}
        </div>
      ))}
      <div
        role="rowgroup"
        className={css.body}
        style={{ height: virtual.getTotalSize(), minWidth: total }}
      >
        {virtual.getVirtualItems().map((item) => {
          const row = rows[item.index];
          if (!row) return null;
          return (
            <div
              key={row.id}
              role="row"
              aria-rowindex={item.index + 2}
              className={css.row}
              style={{ gridTemplateColumns: template, transform: `translateY(${item.start}px)` }}
            >
              <div role="gridcell" className={css.number}>
                {item.index + 1}
              </div>
              {row.getAllCells().map((cell, at) => (
                <div
                  key={cell.id}
                  role="gridcell"
                  title={asText(cell.getValue() as Json)}
                  data-numeric={numeric[at]}
                  data-absent={cell.getValue() === null}
                >
                  {cell.getValue() === null ? "null" : <table.FlexRender cell={cell} />}
                </div>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}
