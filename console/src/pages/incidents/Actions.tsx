import { Button } from "@mantine/core";
import { useState, type FormEvent } from "react";
import type { IncidentDetail, IncidentVerdict } from "../../api/types";
import { VERDICTS } from "../../lib/incident";
import { Icon } from "../../parts/Icon";
import { useAction } from "./useAction";
import list from "./IncidentsPage.module.css";
import css from "./IncidentPage.module.css";

interface Props {
  incident: IncidentDetail;
  /** Findings that were chosen, for a split. */
  chosen: string[];
  onDone: () => void;
}

/** What a person decides about an incident; each is remembered, and an event. */
export function Actions({ incident, chosen, onDone }: Props) {
  const [form, setForm] = useState<"close" | "assign" | null>(null);
  const act = useAction(() => {
    setForm(null);
    onDone();
  });
  const open = (which: "close" | "assign") => setForm(form === which ? null : which);
  const closed = incident.state === "closed";
  return (
    <div className={css.actions}>
      <Button
        size="compact-sm"
        variant="default"
        aria-expanded={form === "assign"}
        onClick={() => open("assign")}
      >
        Assign…
      </Button>
      {closed ? (
        <Button
          size="compact-sm"
          variant="default"
          loading={act.isPending}
          leftSection={<Icon name="undo" size={14} />}
          onClick={() => act.mutate({ action: "reopen", incident: incident.uid })}
        >
          Reopen
        </Button>
      ) : (
        <Button
          size="compact-sm"
          variant="default"
          aria-expanded={form === "close"}
          leftSection={<Icon name="check" size={14} />}
          onClick={() => open("close")}
        >
          Close…
        </Button>
      )}
      {chosen.length > 0 ? (
        <Button
          size="compact-sm"
          loading={act.isPending}
          disabled={chosen.length === incident.members.length}
          onClick={() => act.mutate({ action: "split", incident: incident.uid, findings: chosen })}
        >
          Split {chosen.length} off
        </Button>
      ) : null}
      {act.isError ? (
        <span className={list.fault} role="alert">
          {act.error.message}
        </span>
      ) : null}
      {form === "close" ? (
        <CloseForm
          busy={act.isPending}
          onSubmit={(verdict, reason) =>
            act.mutate({ action: "close", incident: incident.uid, verdict, reason })
          }
        />
      ) : null}
      {form === "assign" ? (
        <AssignForm
          owner={incident.owner ?? ""}
          busy={act.isPending}
          onSubmit={(owner) => act.mutate({ action: "assign", incident: incident.uid, owner })}
        />
      ) : null}
    </div>
  );
}

interface CloseProps {
  busy: boolean;
  onSubmit: (verdict: IncidentVerdict, reason: string) => void;
}

function CloseForm({ busy, onSubmit }: CloseProps) {
  const [verdict, setVerdict] = useState<IncidentVerdict>("true_positive");
  const [reason, setReason] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit(verdict, reason);
  };
  return (
    <form className={css.form} onSubmit={submit} aria-label="Close the incident">
      <label>
        It was
        <select
          value={verdict}
          onChange={(event) => setVerdict(event.currentTarget.value as IncidentVerdict)}
        >
          {Object.entries(VERDICTS).map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label className={css.wide}>
        Reason
        <input
          autoFocus
          value={reason}
          maxLength={500}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
      </label>
      <Button type="submit" size="compact-md" loading={busy} disabled={!reason.trim()}>
        Close it
      </Button>
    </form>
  );
}

interface AssignProps {
  owner: string;
  busy: boolean;
  onSubmit: (owner: string) => void;
}

function AssignForm({ owner, busy, onSubmit }: AssignProps) {
  const [name, setName] = useState(owner);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit(name);
  };
  return (
    <form className={css.form} onSubmit={submit} aria-label="Assign the incident">
      <label className={css.wide}>
        Who takes care of it; empty for nobody
        <input
          autoFocus
          value={name}
          maxLength={500}
          onChange={(event) => setName(event.currentTarget.value)}
        />
      </label>
      <Button type="submit" size="compact-md" loading={busy} disabled={name.trim() === owner}>
        Assign
      </Button>
    </form>
  );
}
