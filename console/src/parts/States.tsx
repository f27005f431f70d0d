import { Button, Loader } from "@mantine/core";
import type { ReactNode } from "react";
import { ApiError } from "../api/client";
import { Prose } from "./Prose";
import css from "./States.module.css";

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={css.state}>
      <p className={css.title}>{title}</p>
      {children ? <div className={css.body}>{children}</div> : null}
    </div>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <div className={css.state} role="status">
      <Loader size="sm" />
      <p className={css.body}>Loading {what}…</p>
    </div>
  );
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const message = error instanceof Error ? error.message : String(error);
  const place = error instanceof ApiError && error.span ? ` (at ${error.span.start + 1})` : "";
  return (
    <div className={css.state} role="alert">
      <p className={css.title}>This could not be shown</p>
      <p className={css.body}>
        <Prose text={message} />
        {place}
      </p>
      {retry ? (
        <Button size="compact-sm" variant="default" onClick={retry}>
          Try again
        </Button>
      ) : null}
    </div>
  );
}
