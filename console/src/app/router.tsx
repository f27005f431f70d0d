import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import type { RuleState } from "../api/types";
import { Empty, Failure, Loading } from "../parts/States";
import { isRange, type RangeName } from "../lib/time";
import { Shell } from "./Shell";

/** Everything that the Events page shows, so that a link is a view. */
export interface EventsSearch {
  q?: string;
  range?: RangeName;
  from?: number;
  to?: number;
  uid?: string;
  live?: boolean;
}

const text = (value: unknown) => {
  // The router reads `q=10` as a number; a filter is text whatever it looks like.
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
};
const moment = (value: unknown) =>
  typeof value === "number" && Number.isFinite(value) ? Math.trunc(value) : undefined;

export function eventsSearch(search: Record<string, unknown>): EventsSearch {
  const from = moment(search["from"]);
  const to = moment(search["to"]);
  const fixed = from !== undefined && to !== undefined && from < to;
  return {
    q: text(search["q"]),
    range: !fixed && isRange(search["range"]) ? search["range"] : undefined,
    from: fixed ? from : undefined,
    to: fixed ? to : undefined,
    uid: text(search["uid"]),
    live: search["live"] === false ? false : undefined,
  };
}

/** Which incidents the list shows. */
export interface IncidentsSearch {
  state?: "closed" | "all";
  q?: string;
}

export function incidentsSearch(search: Record<string, unknown>): IncidentsSearch {
  const state = search["state"];
  return {
    state: state === "closed" || state === "all" ? state : undefined,
    q: text(search["q"]),
  };
}

/** Which rules the list shows. */
export interface DetectionsSearch {
  state?: RuleState | "silent" | "fired";
  tactic?: string;
  q?: string;
}

const RULE_STATES = ["ready", "off", "never", "suspended", "silent", "fired"];

export function detectionsSearch(search: Record<string, unknown>): DetectionsSearch {
  const state = text(search["state"]);
  return {
    state: state && RULE_STATES.includes(state) ? (state as DetectionsSearch["state"]) : undefined,
    tactic: text(search["tactic"]),
    q: text(search["q"]),
  };
}

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => (
    <Empty title="There is no such page">Ctrl+K lists those there are.</Empty>
  ),
});

const routes = root.addChildren([
  createRoute({
    getParentRoute: () => root,
    path: "/",
    beforeLoad: () => {
      throw redirect({ to: "/events", replace: true });
    },
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/events",
    validateSearch: eventsSearch,
    component: lazyRouteComponent(() => import("../pages/events/EventsPage"), "EventsPage"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/query",
    validateSearch: (search: Record<string, unknown>): { sql?: string } => ({
      sql: text(search["sql"]),
    }),
    component: lazyRouteComponent(() => import("../pages/query/QueryPage"), "QueryPage"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/incidents",
    validateSearch: incidentsSearch,
    component: lazyRouteComponent(
      () => import("../pages/incidents/IncidentsPage"),
      "IncidentsPage",
    ),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/incidents/$uid",
    component: lazyRouteComponent(() => import("../pages/incidents/IncidentPage"), "IncidentPage"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/detections",
    validateSearch: detectionsSearch,
    component: lazyRouteComponent(
      () => import("../pages/detections/DetectionsPage"),
      "DetectionsPage",
    ),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/loop",
    component: lazyRouteComponent(() => import("../pages/loop/LoopPage"), "LoopPage"),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/sources",
    component: lazyRouteComponent(() => import("../pages/sources/SourcesPage"), "SourcesPage"),
  }),
]);

export const router = createRouter({
  routeTree: routes,
  defaultPendingComponent: () => <Loading what="the page" />,
  defaultErrorComponent: ({ error, reset }) => <Failure error={error} retry={reset} />,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
