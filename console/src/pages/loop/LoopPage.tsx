import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { get, send } from "../../api/client";
import type { LoopItem, LoopState, RunState } from "../../api/types";
import { withTerm } from "../../lib/filter";
import { clock, stamp } from "../../lib/time";
import { Entity } from "../../parts/Entity";
import { Icon } from "../../parts/Icon";
import { Prose } from "../../parts/Prose";
import { Severity } from "../../parts/Severity";
import { Empty, Failure, Loading } from "../../parts/States";
import css from "./LoopPage.module.css";

const REFRESH_MS = 2_000;

const STATES: Record<RunState, string> = {
  planned: "Planned",
  awaiting_approval: "Awaiting approval",
  refused: "Refused",
  applied: "Applied",
  verified: "Verified by probe",
  undone: "Undone",
  failed: "Failed",
};

const TONES: Record<RunState, "good" | "bad" | "wait" | "plain"> = {
  planned: "plain",
  awaiting_approval: "wait",
  refused: "bad",
  applied: "wait",
  verified: "good",
  undone: "plain",
  failed: "bad",
};

export function LoopPage() {
  const loop = useQuery({
    queryKey: ["loop"],
    queryFn: () => get<LoopState>("/api/v1/loop"),
    refetchInterval: REFRESH_MS,
  });
  if (loop.isPending) return <Loading what="the loop" />;
  if (loop.isError) return <Failure error={loop.error} retry={() => void loop.refetch()} />;
  const { items, posture, metrics } = loop.data;
  return (
    <div className={css.page} tabIndex={0} role="region" aria-label="The loop">
      <div className={css.inner}>
        <section className={css.items} aria-labelledby="loop-title">
          <h1 id="loop-title">Findings and what followed</h1>
          {items.length === 0 ? (
            <Empty title="Nothing was found yet">
              A finding appears here with the decision, the plan and the verified effect that follow
              from it.
            </Empty>
          ) : (
            items.map((item, at) => <Item key={`${item.trace_id}-${at}`} item={item} />)
          )}
        </section>
        <aside className={css.side}>
          <Posture checks={posture} />
          <Metrics metrics={metrics} />
        </aside>
      </div>
    </div>
  );
}

/** All events of one trace, whenever they were. */
function TraceLink({ id, children }: { id: string; children: string }) {
  return (
    <Link
      to="/events"
      search={{ q: `trace:${id}`, range: "30d" }}
      className={css.trace}
      title={`Events of trace ${id}`}
    >
      {children}
    </Link>
  );
}

function Item({ item }: { item: LoopItem }) {
  const navigate = useNavigate();
  const { finding, decision, plan, run } = item;
  const pivot = (field: string, value: string) =>
    void navigate({ to: "/events", search: { q: withTerm("", field, value) } });
  return (
    <article className={css.item}>
      <header className={css.head}>
        <h2>{finding.title}</h2>
        <Severity id={finding.severity_id} />
        <span className={css.when}>{stamp(finding.time)}</span>
        {run ? (
          <span className={css.state} data-tone={TONES[run.state]}>
            {STATES[run.state]}
          </span>
        ) : null}
      </header>
      <ol className={css.steps}>
        <li data-done="true">
          <h3>Finding</h3>
          <div className={css.chips}>
            {finding.entities.map((entity, at) => (
              <Entity key={at} entity={entity} onPivot={pivot} />
            ))}
          </div>
          <p className={css.line}>{finding.matched.join("; ")}</p>
          <p className={css.facts}>
            {finding.techniques.length > 0 ? <span>{finding.techniques.join(", ")}</span> : null}
            <span>{finding.evidence.length} events as evidence</span>
            <TraceLink id={item.trace_id}>Events of this trace</TraceLink>
          </p>
        </li>
        <Decision decision={decision} />
        <PlanStep plan={plan} />
        <Run run={run} />
      </ol>
    </article>
  );
}

function Decision({ decision }: { decision: LoopItem["decision"] }) {
  if (!decision) return <Waiting name="Decision" text="Nothing was proposed." />;
  return (
    <li data-done="true">
      <h3>
        Decision
        <span className={css.verdict} data-permit={decision.permit}>
          {decision.permit ? "permit" : "forbid"}
        </span>
      </h3>
      <p className={css.line}>
        <code>{decision.principal}</code> {decision.action} <code>{decision.resource}</code>
      </p>
      {decision.reason ? (
        <p className={css.line}>
          <Prose text={decision.reason} />
        </p>
      ) : null}
      <p className={css.facts}>
        <span>
          determining policies:{" "}
          {decision.determining_policies.length === 0
            ? "none, so forbidden by default"
            : decision.determining_policies.join(", ")}
        </span>
      </p>
    </li>
  );
}

function PlanStep({ plan }: { plan: LoopItem["plan"] }) {
  if (!plan) return <Waiting name="Plan" text="No plan." />;
  return (
    <li data-done="true">
      <h3>
        Plan <span className={css.point}>{plan.point}</span>
      </h3>
      {plan.changes.length === 0 ? (
        <p className={css.line}>Nothing to change.</p>
      ) : (
        <ul className={css.changes} tabIndex={0} aria-label="Changes of the plan">
          {plan.changes.map((change, at) => (
            <li key={at} data-add={change.add}>
              <span aria-hidden="true">{change.add ? "+" : "−"}</span>
              <span className="visually-hidden">{change.add ? "add" : "remove"}</span>
              {change.line}
            </li>
          ))}
        </ul>
      )}
      {plan.gaps.map((gap) => (
        <p key={gap} className={css.gap}>
          gap: <Prose text={gap} />
        </p>
      ))}
    </li>
  );
}

function Run({ run }: { run: LoopItem["run"] }) {
  const queries = useQueryClient();
  const act = useMutation({
    mutationFn: ({ path, body }: { path: string; body?: unknown }) =>
      send("POST", `/api/v1/runs/${encodeURIComponent(run?.id ?? "")}/${path}`, body),
    onSettled: () => queries.invalidateQueries({ queryKey: ["loop"] }),
  });
  if (!run) return <Waiting name="Run" text="Nothing was run." />;
  const waits = run.state === "awaiting_approval";
  return (
    <li data-done={!waits && run.state !== "planned"}>
      <h3>Run</h3>
      <ol className={css.log}>
        {run.steps.map((step, at) => (
          <li key={at}>
            <time>{clock(step.time).slice(0, 8)}</time>
            <span data-tone={TONES[step.state]}>{STATES[step.state]}</span>
            <span>
              <Prose text={step.note} />
            </span>
          </li>
        ))}
      </ol>
      {waits || run.can_undo ? (
        <div className={css.actions}>
          {waits ? (
            <>
              <Button
                size="compact-sm"
                loading={act.isPending}
                leftSection={<Icon name="check" size={14} />}
                onClick={() => act.mutate({ path: "decision", body: { approve: true } })}
              >
                Approve
              </Button>
              <Button
                size="compact-sm"
                variant="default"
                disabled={act.isPending}
                onClick={() => act.mutate({ path: "decision", body: { approve: false } })}
              >
                Refuse
              </Button>
            </>
          ) : (
            <Button
              size="compact-sm"
              variant="default"
              loading={act.isPending}
              leftSection={<Icon name="undo" size={14} />}
              onClick={() => act.mutate({ path: "undo" })}
            >
              Undo
            </Button>
          )}
        </div>
      ) : null}
      {act.isError ? (
        <p className={css.gap} role="alert">
          {act.error.message}
        </p>
      ) : null}
    </li>
  );
}

function Waiting({ name, text }: { name: string; text: string }) {
  return (
    <li data-done="false">
      <h3>{name}</h3>
      <p className={css.line}>{text}</p>
    </li>
  );
}

function Posture({ checks }: { checks: LoopState["posture"] }) {
  return (
    <section className={css.card} aria-labelledby="posture-title">
      <h2 id="posture-title">Posture</h2>
      {checks.length === 0 ? <p className="dim">No check has run.</p> : null}
      {checks.map((check) => (
        <div key={check.id} className={css.check}>
          <p>
            <span className={css.verdict} data-permit={check.pass ?? "unknown"}>
              {check.pass === null ? "unknown" : check.pass ? "pass" : "fail"}
            </span>
            {check.title}
          </p>
          <p className={css.detail}>
            <Prose text={check.observed} />
          </p>
          <p className={css.facts}>
            <span>{stamp(check.time)}</span>
            {check.trace_id ? <TraceLink id={check.trace_id}>Events</TraceLink> : null}
          </p>
        </div>
      ))}
    </section>
  );
}

function Metrics({ metrics }: { metrics: LoopState["metrics"] }) {
  return (
    <section className={css.card} aria-labelledby="metrics-title">
      <h2 id="metrics-title">Metrics</h2>
      {metrics.length === 0 ? <p className="dim">Nothing was measured yet.</p> : null}
      {metrics.map((metric) => (
        <div key={metric.name} className={css.check}>
          <p>{metric.name}</p>
          <p className={css.figure}>
            {metric.value === null
              ? "–"
              : metric.value.toLocaleString("en", { maximumFractionDigits: 1 })}
            <span>{metric.unit}</span>
            {metric.target ? <span className={css.target}>target {metric.target}</span> : null}
          </p>
          <p className={css.detail}>{metric.detail}</p>
          {metric.trace_id ? (
            <p className={css.facts}>
              <TraceLink id={metric.trace_id}>Events</TraceLink>
            </p>
          ) : null}
        </div>
      ))}
    </section>
  );
}
