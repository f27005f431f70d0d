import { useElementSize, useMergedRef } from "@mantine/hooks";
import { createColumnHelper, tableFeatures, useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef } from "react";
import type { EventRow } from "../../api/types";
import { clock, day, stamp } from "../../lib/time";
import { Entity } from "../../parts/Entity";
import { Severity } from "../../parts/Severity";
import css from "./EventTable.module.css";

const features = tableFeatures({});
const helper = createColumnHelper<typeof features, EventRow>();
/** Narrower than this, a row has two lines. */
const NARROW = 700;
const ENTITIES_SHOWN = 3;

interface Props {
  rows: EventRow[];
  selected: string | undefined;
  cursor: string | undefined;
  onOpen: (uid: string) => void;
  onPivot: (field: string, value: string) => void;
  onEnd: () => void;
  /** Whether the reader looks at the newest rows. */
  onTop: (top: boolean) => void;
}

export function EventTable({ rows, selected, cursor, onOpen, onPivot, onEnd, onTop }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const { ref: sized, width } = useElementSize<HTMLDivElement>();
  const both = useMergedRef(scroller, sized);
  const narrow = width > 0 && width < NARROW;
  const many = rows.length > 0 && day(rows[0]!.time) !== day(rows[rows.length - 1]!.time);

  const columns = useMemo(
    () =>
      helper.columns([
        helper.accessor("time", {
          header: "Time",
          cell: (cell) => (
            <time
              dateTime={new Date(cell.getValue()).toISOString()}
              title={new Date(cell.getValue()).toISOString()}
            >
              {many ? stamp(cell.getValue()).slice(5) : clock(cell.getValue())}
            </time>
          ),
        }),
        helper.accessor("severity_id", {
          header: "Severity",
          cell: (cell) => <Severity id={cell.getValue()} />,
        }),
        helper.accessor("class_name", {
          header: "Class",
          cell: (cell) => (
            <span title={cell.row.original.activity_name ?? ""}>
              {cell.getValue() ?? `class ${cell.row.original.class_uid}`}
            </span>
          ),
        }),
        helper.accessor("message", {
          header: "Event",
          cell: (cell) => <What row={cell.row.original} onPivot={onPivot} />,
        }),
        helper.accessor("product", { header: "Product", cell: (cell) => cell.getValue() ?? "" }),
        helper.accessor("status", {
          header: "Status",
          cell: (cell) => <span data-status={cell.getValue() ?? ""}>{cell.getValue() ?? ""}</span>,
        }),
      ]),
    [onPivot, many],
  );
  const table = useTable({ features, columns, data: rows, getRowId: (row) => row.uid });
  const model = table.getRowModel().rows;
  const virtual = useVirtualizer({
    count: model.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => (narrow ? 74 : 30),
    getItemKey: (index) => model[index]?.id ?? index,
    overscan: 12,
  });
  useEffect(() => virtual.measure(), [narrow, virtual]);

  const items = virtual.getVirtualItems();
  const last = items[items.length - 1]?.index ?? 0;
  useEffect(() => {
    if (model.length > 0 && last >= model.length - 20) onEnd();
  }, [last, model.length, onEnd]);

  const cursorAt = cursor === undefined ? -1 : rows.findIndex((row) => row.uid === cursor);
  useEffect(() => {
    if (cursorAt >= 0) virtual.scrollToIndex(cursorAt, { align: "auto" });
    // Only a move of the cursor scrolls, not the rows that arrive.
  }, [cursor]);

  return (
    <div
      ref={both}
      className={css.scroller}
      data-narrow={narrow}
      data-many={many}
      role="grid"
      aria-label="Events"
      aria-rowcount={rows.length + 1}
      aria-activedescendant={cursorAt >= 0 ? `event-${cursor}` : undefined}
      tabIndex={0}
      onScroll={(event) => onTop(event.currentTarget.scrollTop < 8)}
    >
      {table.getHeaderGroups().map((group) => (
        <div key={group.id} role="row" aria-rowindex={1} className={css.header}>
          {group.headers.map((header) => (
            <div
              key={header.id}
              role="columnheader"
              className={css.cell}
              data-column={header.column.id}
            >
              <table.FlexRender header={header} />
            </div>
          ))}
        </div>
      ))}
      <div role="rowgroup" className={css.body} style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const row = model[item.index];
          if (!row) return null;
          return (
            <div
              key={item.key}
              id={`event-${row.id}`}
              role="row"
              aria-rowindex={item.index + 2}
              aria-selected={row.id === selected}
              data-cursor={row.id === cursor}
              className={css.row}
              style={{ transform: `translateY(${item.start}px)`, height: item.size }}
              onClick={() => onOpen(row.id)}
            >
              {row.getAllCells().map((cell) => (
                <div
                  key={cell.id}
                  role="gridcell"
                  className={css.cell}
                  data-column={cell.column.id}
                >
                  <table.FlexRender cell={cell} />
                </div>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function What({ row, onPivot }: { row: EventRow; onPivot: Props["onPivot"] }) {
  const text = row.message ?? row.activity_name ?? "";
  // What the sentence says already needs no chip beside it.
  const chips = row.observables.filter((one) => one.value).slice(0, ENTITIES_SHOWN);
  return (
    <>
      <span className={css.message} title={text}>
        {text}
      </span>
      <span className={css.entities}>
        {chips.map((entity, at) => (
          <Entity key={`${at}-${entity.value}`} entity={entity} onPivot={onPivot} inGrid />
        ))}
      </span>
    </>
  );
}
