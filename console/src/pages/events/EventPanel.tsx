import { ActionIcon, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { ApiError, get } from "../../api/client";
import type { EventDetail, Observable } from "../../api/types";
import { indent, tokens } from "../../lib/json";
import { stamp } from "../../lib/time";
import { Entity } from "../../parts/Entity";
import { Icon } from "../../parts/Icon";
import { Severity } from "../../parts/Severity";
import { Failure, Loading } from "../../parts/States";
import { OcsfTree } from "./OcsfTree";
import css from "./EventPanel.module.css";

/** Longer raw records are shown without colours, which cost one element per word. */
const COLOURED_CHARS_MAX = 60_000;

interface Props {
  uid: string;
  onClose: () => void;
  onTerm: (field: string, value: string, negated: boolean) => void;
}

export function EventPanel({ uid, onClose, onTerm }: Props) {
  const detail = useQuery({
    queryKey: ["event", uid],
    queryFn: ({ signal }) =>
      get<EventDetail>(`/api/v1/events/${encodeURIComponent(uid)}`, undefined, signal),
    staleTime: Infinity,
    // The live tail can be a moment ahead of what can be looked up.
    retry: (failures, error) =>
      failures < 3 && error instanceof ApiError && error.code === "not_found",
    retryDelay: 700,
  });
  const [copied, setCopied] = useState(false);
  const copy = () => {
    void navigator.clipboard.writeText(location.href).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), 1_500);
    });
  };
  const ocsf = detail.data?.ocsf;
  const text = (key: string) => (typeof ocsf?.[key] === "string" ? ocsf[key] : "");
  const entities = Array.isArray(ocsf?.["observables"])
    ? (ocsf["observables"] as unknown as Observable[])
    : [];
  return (
    <section className={css.panel} aria-label="Event">
      <header className={css.head}>
        <div className={css.title}>
          <h2>{text("class_name") || "Event"}</h2>
          {ocsf ? <Severity id={Number(ocsf["severity_id"] ?? 0)} /> : null}
          {ocsf ? <span className={css.meta}>{stamp(Number(ocsf["time"]))}</span> : null}
        </div>
        <Tooltip label={copied ? "Copied" : "Copy a link to this view"}>
          <ActionIcon
            variant="subtle"
            color="gray"
            onClick={copy}
            aria-label="Copy a link to this view"
          >
            <Icon name={copied ? "check" : "link"} />
          </ActionIcon>
        </Tooltip>
        <Tooltip label="Close (Esc)">
          <ActionIcon variant="subtle" color="gray" onClick={onClose} aria-label="Close the event">
            <Icon name="close" />
          </ActionIcon>
        </Tooltip>
      </header>
      {detail.isPending ? (
        <Loading what="the event" />
      ) : detail.isError ? (
        <Failure error={detail.error} retry={() => void detail.refetch()} />
      ) : (
        <>
          {text("message") ? <p className={css.message}>{text("message")}</p> : null}
          {entities.length > 0 ? (
            <div className={css.entities}>
              {entities.slice(0, 16).map((entity, at) => (
                <Entity
                  key={at}
                  entity={entity}
                  onPivot={(field, value) => onTerm(field, value, false)}
                />
              ))}
            </div>
          ) : null}
          <div className={css.sides}>
            <div className={css.side} tabIndex={0} role="region" aria-label="OCSF">
              <h3>OCSF</h3>
              <OcsfTree value={detail.data.ocsf} onTerm={onTerm} />
            </div>
            <Raw raw={detail.data.raw} />
          </div>
        </>
      )}
    </section>
  );
}

function Raw({ raw }: { raw: string | null }) {
  const pretty = useMemo(() => (raw === null ? "" : indent(raw)), [raw]);
  const [indented, setIndented] = useState(true);
  const changed = raw !== null && pretty !== raw;
  const text = changed && indented ? pretty : (raw ?? "");
  return (
    <div className={css.side} tabIndex={0} role="region" aria-label="Raw record">
      <h3>
        Raw
        {changed ? (
          <button type="button" className={css.mode} onClick={() => setIndented(!indented)}>
            {indented ? "Show as received" : "Show indented"}
          </button>
        ) : null}
      </h3>
      {raw === null ? (
        <p className={css.none}>This event has no raw record.</p>
      ) : (
        <Coloured text={text} />
      )}
    </div>
  );
}

function Coloured({ text }: { text: string }) {
  const parts = useMemo(() => (text.length > COLOURED_CHARS_MAX ? null : tokens(text)), [text]);
  return (
    <pre className={css.raw}>
      {parts === null
        ? text
        : parts.map((token, at) =>
            token.kind === "space" || token.kind === "mark" ? (
              token.text
            ) : (
              <span key={at} data-kind={token.kind}>
                {token.text}
              </span>
            ),
          )}
    </pre>
  );
}
