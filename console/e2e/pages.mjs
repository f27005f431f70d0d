// Every page in Chromium: no axe violations, no reports of the content security policy, no
// overflow of the page, nothing asked of another host. Runs against a console that is up:
//   WEFT_URL=http://127.0.0.1:8711 WEFT_TOKEN=… npm run e2e
// WEFT_SHOTS=DIR keeps a picture of each page.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const url = process.env.WEFT_URL;
const token = process.env.WEFT_TOKEN;
const shots = process.env.WEFT_SHOTS;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const skip = url && token ? false : "WEFT_URL and WEFT_TOKEN are not set";

const WIDTHS = { wide: { width: 1440, height: 900 }, narrow: { width: 320, height: 720 } };
const THEMES = ["light", "dark"];

/** Waits for rows, or for the page to say that there are none. */
const settled = (page, rows, empty) =>
  page.locator(rows).or(page.getByText(empty)).first().waitFor({ timeout: 15_000 });

/** Opens the first incident; false where there is none. */
async function openFirst(page) {
  await settled(page, "a[data-incident]", "No incident");
  const first = page.locator("a[data-incident]").first();
  if ((await first.count()) === 0) return false;
  await first.click();
  return true;
}

const PAGES = {
  "sign-in": {
    path: "/events",
    signedOut: true,
    ready: (page) => page.getByTestId("token").waitFor(),
  },
  events: {
    path: "/events?range=24h&live=false",
    ready: (page) =>
      settled(
        page,
        '[role="grid"][aria-label="Events"] [role="row"][aria-rowindex="2"]',
        "No events here",
      ),
  },
  "events-live": {
    path: "/events",
    ready: (page) => page.getByText(/\/s live/).waitFor({ timeout: 15_000 }),
  },
  "events-fault": {
    path: "/events?live=false",
    ready: async (page) => {
      await page.getByLabel("Filter", { exact: true }).fill("class:a AND severity_id:high");
      await page.locator("#filter-error").waitFor();
    },
  },
  event: {
    path: "/events?range=24h&live=false",
    ready: async (page) => {
      const row = page.locator('[role="grid"] [role="row"][aria-rowindex="2"]');
      await settled(page, '[role="grid"] [role="row"][aria-rowindex="2"]', "No events here");
      if ((await row.count()) === 0) return;
      await row.locator('[role="gridcell"]').first().click();
      await page.getByRole("heading", { name: "OCSF", exact: true }).waitFor();
    },
  },
  query: {
    path: `/query?sql=${encodeURIComponent("SELECT time, class_name, severity_id, message FROM events ORDER BY time DESC LIMIT 200")}`,
    ready: async (page) => {
      await page.getByRole("button", { name: "Run", exact: true }).click();
      await page.getByRole("grid", { name: "Result" }).waitFor({ timeout: 15_000 });
    },
  },
  "query-fault": {
    path: `/query?sql=${encodeURIComponent("SELECT * FORM events")}`,
    ready: async (page) => {
      await page.getByRole("button", { name: "Run", exact: true }).click();
      await page.getByRole("alert").waitFor();
    },
  },
  incidents: {
    path: "/incidents?state=all",
    prepare: incidents,
    ready: async (page) => {
      await settled(page, "a[data-incident]", "No incident");
      await page.getByRole("heading", { name: "Risk", exact: true }).waitFor();
    },
  },
  incident: {
    path: "/incidents?state=all",
    prepare: incidents,
    ready: async (page) => {
      if (!(await openFirst(page))) return;
      await page.getByRole("heading", { name: "Findings and the path of evidence" }).waitFor();
      await page.locator("details summary").first().click();
    },
  },
  "incident-close": {
    path: "/incidents?state=all",
    prepare: incidents,
    ready: async (page) => {
      if (!(await openFirst(page))) return;
      await page.getByRole("button", { name: /^(Close…|Reopen)$/ }).waitFor();
      const close = page.getByRole("button", { name: "Close…" });
      if ((await close.count()) > 0) await close.click();
    },
  },
  detections: {
    path: "/detections",
    ready: (page) => page.getByRole("heading", { name: "What is remembered" }).waitFor(),
  },
  "detections-never": {
    path: "/detections?state=never&q=zzz",
    ready: (page) => page.getByText("No such rule").waitFor(),
  },
  loop: {
    path: "/loop",
    ready: (page) => page.getByRole("heading", { name: "Findings and what followed" }).waitFor(),
  },
  sources: {
    path: "/sources",
    ready: async (page) => {
      await page.getByRole("heading", { name: "Rejects by cause" }).waitFor();
      await page.getByRole("heading", { name: "Threat intelligence" }).waitFor();
    },
  },
  palette: {
    path: "/loop",
    ready: async (page) => {
      await page.getByRole("heading", { name: "Posture" }).waitFor();
      await page.keyboard.press("Control+k");
      await page.getByRole("listbox").waitFor();
      // The entrance fades in: colours are judged when it is done.
      await page.waitForFunction(() =>
        document.getAnimations().every((one) => one.playState !== "running"),
      );
      await page.waitForFunction(() => {
        const dialog = document.querySelector('[role="dialog"]');
        return dialog !== null && getComputedStyle(dialog).opacity === "1";
      });
    },
  },
};

let browser;
before(async () => {
  if (skip) return;
  const executablePath = process.env.WEFT_CHROMIUM ?? "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
});
after(() => browser?.close());

const api = (path, init = {}) =>
  fetch(new URL(path, url), {
    ...init,
    headers: { authorization: `Bearer ${token}`, ...init.headers },
  });
const reports = async () => (await (await api("/api/v1/csp-reports")).json()).count;

async function signedIn(context) {
  const response = await context.request.post(new URL("/api/v1/session", url).href, {
    data: { token },
  });
  assert.equal(response.status(), 204, "the token opens a session");
}

/** Runs axe in a world of its own, where the page's policy does not reach. */
async function violations(page) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const { executionContextId: contextId } = await session.send("Page.createIsolatedWorld", {
    frameId: frameTree.frame.id,
  });
  const evaluate = async (expression) => {
    const answer = await session.send("Runtime.evaluate", {
      expression,
      contextId,
      awaitPromise: true,
      returnByValue: true,
    });
    assert.equal(answer.exceptionDetails, undefined, JSON.stringify(answer.exceptionDetails));
    return answer.result.value;
  };
  await evaluate(`${axe}; undefined`);
  return evaluate(
    `axe.run(document).then((found) => found.violations.map((one) => one.id + ": " + one.nodes.map((node) => node.html.slice(0, 160) + " " + node.failureSummary.split("\\n").slice(1, 3).join(" ")).slice(0, 3).join(" | ")))`,
  );
}

for (const [name, { path, ready, signedOut, prepare }] of Object.entries(PAGES)) {
  for (const theme of THEMES) {
    for (const [size, viewport] of Object.entries(WIDTHS)) {
      test(`${name}, ${theme}, ${size}`, { skip }, async () => {
        const context = await browser.newContext({
          viewport,
          colorScheme: theme,
          reducedMotion: "reduce",
        });
        try {
          await prepare?.();
          if (!signedOut) await signedIn(context);
          const page = await context.newPage();
          const strange = [];
          const faults = [];
          page.on("request", (request) => {
            if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url()))
              strange.push(request.url());
          });
          page.on("pageerror", (error) => faults.push(String(error)));
          const reported = await reports();
          await page.goto(new URL(path, url).href);
          await ready(page);
          await page.evaluate(() => document.fonts.ready.then(() => undefined));
          if (shots) await page.screenshot({ path: join(shots, `${name}-${theme}-${size}.png`) });
          const [scroll, client] = await page.evaluate(() => {
            const root = document.documentElement;
            return [root.scrollWidth, root.clientWidth];
          });
          assert.ok(scroll <= client, `the page overflows: ${scroll} > ${client}`);
          assert.deepEqual(await violations(page), [], "axe");
          assert.deepEqual(strange, [], "requests to other hosts");
          assert.deepEqual(faults, [], "errors of scripts");
          assert.equal((await reports()) - reported, 0, "reports of the content security policy");
        } finally {
          await context.close();
        }
      });
    }
  }
}

test("keys and links", { skip }, async () => {
  const context = await browser.newContext({ viewport: WIDTHS.wide });
  try {
    await signedIn(context);
    const page = await context.newPage();
    await page.goto(new URL("/events?range=24h&live=false", url).href);
    await settled(page, '[role="grid"] [role="row"][aria-rowindex="2"]', "No events here");
    if ((await page.locator('[role="row"][aria-rowindex="3"]').count()) === 0) return;
    await page.keyboard.press("/");
    assert.equal(
      await page.evaluate(() => document.activeElement?.getAttribute("aria-label")),
      "Filter",
    );
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    const entities = page.locator(
      'section[aria-label="Event"] button[title*="show events with it"]',
    );
    // Not every event names an entity: the mesh's own do not. The next one is opened then.
    for (let row = 0; row < 20; row += 1) {
      await page.keyboard.press("Enter");
      await page.waitForURL(/uid=/);
      await page.getByRole("heading", { name: "OCSF", exact: true }).waitFor();
      if ((await entities.count()) > 0) break;
      await page.keyboard.press("Escape");
      await page.waitForURL((now) => !now.search.includes("uid="));
      await page.keyboard.press("j");
    }
    const shared = page.url();
    await page.keyboard.press("Escape");
    await page.waitForURL((now) => !now.search.includes("uid="));
    await page.goto(shared);
    await page.getByRole("heading", { name: "OCSF", exact: true }).waitFor();
    await entities.first().click();
    await page.waitForURL(/q=/);
    await page.locator('[aria-label="Terms of the filter"] li').first().waitFor();
    // A live histogram may be drawn anew under the pointer: a person would drag again, and so do we.
    for (let attempt = 0; attempt < 5 && !page.url().includes("from="); attempt += 1) {
      const plot = await page.locator(".u-over").boundingBox();
      if (!plot) continue;
      await page.mouse.move(plot.x + plot.width * 0.4, plot.y + 20);
      await page.mouse.down();
      await page.mouse.move(plot.x + plot.width * 0.95, plot.y + 30, { steps: 8 });
      await page.mouse.up();
      await page
        .waitForURL(/from=\d+.*to=\d+|to=\d+.*from=\d+/, { timeout: 3000 })
        .catch(() => undefined);
    }
    assert.match(page.url(), /from=\d+/);
    await page.keyboard.press("Control+k");
    await page.getByRole("listbox").waitFor();
    await page.keyboard.type("sources");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/sources/);
  } finally {
    await context.close();
  }
});

/** The demonstration's attack comes a minute after the start; elsewhere there may be none. */
async function incidents() {
  for (let look = 0; look < 150; look += 1) {
    const all = await (await api("/api/v1/incidents")).json();
    if (all.length > 0 && all.some((one) => one.findings > 2)) return all;
    await new Promise((done) => setTimeout(done, 1000));
  }
  return [];
}

/** Made-up incidents, for working on the pages, do not change. */
const madeUp = async () => (await (await api("/api/v1/session")).json()).version.endsWith("-dev");

test("a person decides about an incident by keys and buttons", { skip }, async () => {
  const context = await browser.newContext({ viewport: WIDTHS.wide });
  try {
    if (await madeUp()) return;
    const found = await incidents();
    assert.ok(found.length > 0, "the demonstration has an incident");
    await signedIn(context);
    const page = await context.newPage();
    await page.goto(new URL("/events", url).href);
    await page.getByText(/\/s live/).waitFor({ timeout: 15_000 });
    await page.keyboard.press("Alt+2");
    await page.waitForURL(/\/incidents/);
    await page.locator("a[data-incident]").first().waitFor();
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "incidents-filter");
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    const uid = await page.evaluate(() => document.activeElement?.getAttribute("data-incident"));
    assert.ok(uid, "j goes to the first incident");
    await page.keyboard.press("Enter");
    await page.waitForURL(new RegExp(`/incidents/${uid}`));
    await page.getByRole("heading", { name: "Findings and the path of evidence" }).waitFor();

    await page.getByRole("button", { name: "Assign…" }).click();
    await page.keyboard.type("Lena Fox");
    await page.keyboard.press("Enter");
    await page.locator("dd", { hasText: "Lena Fox" }).waitFor();

    await page.getByRole("button", { name: "Close…" }).click();
    await page.getByLabel("It was").selectOption("test");
    await page.getByLabel("Reason").fill("the demonstration itself");
    await page.getByRole("button", { name: "Close it" }).click();
    await page.getByText("the demonstration itself").first().waitFor();
    const detail = async () => (await api(`/api/v1/incidents/${uid}`)).json();
    const closed = await detail();
    // More that is worse or of another kind may come meanwhile, and opens it again: that is told then.
    assert.equal(closed.owner, "Lena Fox");
    assert.ok(
      closed.decided.some((words) => words.includes("closed it as test")),
      closed.decided,
    );
    if (closed.state === "closed") {
      await page.getByRole("button", { name: "Reopen" }).click();
      await page.getByRole("button", { name: "Close…" }).waitFor();
      assert.equal((await detail()).state, "in_progress");
    }

    // The path of evidence leads from every finding to every other.
    const whole = await detail();
    const reached = new Set([whole.members[0].uid]);
    for (let known = 0; known < reached.size;) {
      known = reached.size;
      for (const { earlier, later } of whole.joins)
        if (reached.has(earlier) || reached.has(later)) reached.add(earlier).add(later);
    }
    assert.ok(
      whole.members.every((one) => reached.has(one.uid)),
      "each finding has its path of evidence",
    );
    // Each decision is an event in the incident's trace.
    const sql = `SELECT api['operation'] AS operation FROM api_activity WHERE metadata['correlation_uid'] = '${whole.trace_id}'`;
    for (let look = 0; ; look += 1) {
      const answer = await api("/api/v1/query", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ id: "", sql }),
      });
      const { rows = [] } = await answer.json();
      const told = rows.map(([operation]) => operation);
      if (told.includes("incident.assign") && told.includes("incident.close")) break;
      assert.ok(look < 60, `decisions are events: ${told}`);
      await new Promise((done) => setTimeout(done, 500));
    }

    // A finding leads to its event.
    await page.getByRole("link", { name: "The finding as an event" }).first().click();
    await page.waitForURL(/uid=/);
    await page.getByRole("heading", { name: "OCSF", exact: true }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.getByRole("listbox").waitFor();
    await page.keyboard.type("cannot fire");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/detections\?state=never/);
  } finally {
    await context.close();
  }
});

test("findings are split off an incident, and merged with it again", { skip }, async () => {
  const context = await browser.newContext({ viewport: WIDTHS.wide });
  const all = async () => (await api("/api/v1/incidents")).json();
  try {
    if (await madeUp()) return;
    const found = await incidents();
    await signedIn(context);
    const page = await context.newPage();
    const one = found.find((row) => row.findings > 2);
    await page.goto(new URL(`/incidents/${one.uid}`, url).href);
    await page.getByRole("heading", { name: "Findings and the path of evidence" }).waitFor();
    // Enough of the worst to be an incident of its own.
    const { members } = await (await api(`/api/v1/incidents/${one.uid}`)).json();
    const worst = members.findIndex((member) => member.severity_id >= 4);
    assert.ok(worst >= 0 && members.length > 1, "the demonstration has a finding of high severity");
    const { uid } = members[worst];
    await page.getByLabel(`Choose finding ${worst + 1} to split it off`, { exact: true }).check();
    await page.getByRole("button", { name: "Split 1 off" }).click();
    await page
      .getByText(/split 1 findings off/)
      .first()
      .waitFor();
    const of = async (incident) => {
      const whole = await (await api(`/api/v1/incidents/${incident}`)).json();
      return whole.members?.some((member) => member.uid === uid) ?? false;
    };
    const kept = (await all()).find((row) => row.uid === one.uid);
    assert.ok(kept && !(await of(kept.uid)), "the finding has left");
    let other;
    for (const row of await all()) if (row.uid !== one.uid && (await of(row.uid))) other = row.uid;
    assert.ok(other, "and is an incident of its own");

    await page.getByRole("link", { name: "Incidents" }).first().click();
    await page.goto(new URL("/incidents?state=all", url).href);
    for (const incident of [one.uid, other])
      await page
        .locator("tr", { has: page.locator(`a[data-incident="${incident}"]`) })
        .getByRole("checkbox")
        .check();
    await page.getByRole("button", { name: "Merge 2" }).click();
    await page.getByRole("button", { name: "Choose none" }).waitFor({ state: "detached" });
    const words = async () => {
      const wholes = await Promise.all(
        (await all()).map(async (row) => (await api(`/api/v1/incidents/${row.uid}`)).json()),
      );
      return wholes.flatMap((whole) => whole.decided ?? []);
    };
    assert.ok((await words()).some((line) => line.startsWith("console merged ")));
  } finally {
    await context.close();
  }
});
