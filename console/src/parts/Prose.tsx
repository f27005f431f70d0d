import { Fragment } from "react";

/** A sentence of the mesh: what stands in backticks is what someone wrote. */
export function Prose({ text }: { text: string }) {
  const parts = text.split(/`([^`]*)`/);
  return parts.map((part, at) =>
    at % 2 === 1 ? (
      <code key={at} className="mono">
        {part}
      </code>
    ) : (
      <Fragment key={at}>{part}</Fragment>
    ),
  );
}
