import { ActionIcon, Tooltip, useMantineColorScheme, useComputedColorScheme } from "@mantine/core";
import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useCallback, useEffect, useState } from "react";
import { get, onSignedOut, send } from "../api/client";
import { Icon, type IconName } from "../parts/Icon";
import { Loading } from "../parts/States";
import { inText } from "./keys";
import { SignIn } from "./SignIn";
import css from "./Shell.module.css";

const loadPalette = () => import("./Palette");
const Palette = lazy(loadPalette);

export const PAGES: {
  to: "/incidents" | "/events" | "/query" | "/detections" | "/loop" | "/sources";
  name: string;
  icon: IconName;
}[] = [
  { to: "/events", name: "Events", icon: "events" },
  { to: "/incidents", name: "Incidents", icon: "incidents" },
  { to: "/query", name: "Query", icon: "query" },
  { to: "/detections", name: "Detections", icon: "detections" },
  { to: "/loop", name: "Loop", icon: "loop" },
  { to: "/sources", name: "Sources", icon: "sources" },
];

interface Session {
  authenticated: boolean;
  version: string;
}

export function Shell() {
  const session = useQuery({
    queryKey: ["session"],
    queryFn: () => get<Session>("/api/v1/session"),
  });
  const [signedOut, setSignedOut] = useState(false);
  useEffect(() => onSignedOut(() => setSignedOut(true)), []);
  const signOut = useCallback(async () => {
    await send("DELETE", "/api/v1/session");
    setSignedOut(true);
  }, []);

  if (session.isPending) return <Loading what="the console" />;
  if (signedOut || !session.data?.authenticated) {
    return <SignIn unreachable={session.isError} onDone={() => location.reload()} />;
  }
  return <Frame version={session.data.version} signOut={() => void signOut()} />;
}

function Frame({ version, signOut }: { version: string; signOut: () => void }) {
  const [palette, setPalette] = useState(false);
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const navigate = useNavigate();
  // Fetched while nothing else is, so that the first Ctrl+K does not lose what is typed after it.
  useEffect(() => {
    const timer = setTimeout(() => void loadPalette(), 1_500);
    return () => clearTimeout(timer);
  }, []);
  const toggleTheme = () => setColorScheme(scheme === "dark" ? "light" : "dark");

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setPalette((open) => !open);
        return;
      }
      if (!event.altKey || inText(event)) return;
      const page = PAGES[Number(event.key) - 1];
      if (page) {
        event.preventDefault();
        void navigate({ to: page.to });
      }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [navigate]);

  return (
    <div className={css.frame}>
      <a className={css.skip} href="#main">
        Skip to content
      </a>
      <header className={css.top}>
        <Link to="/events" className={css.brand} aria-label="Weft, to the events">
          <img src="/icon.svg" alt="" width="20" height="20" />
          <span className={css.word}>Weft</span>
        </Link>
        <nav className={css.nav} aria-label="Pages">
          {PAGES.map((page) => (
            <Link
              key={page.to}
              to={page.to}
              className={css.tab}
              activeProps={{ "aria-current": "page" }}
            >
              <Icon name={page.icon} size={15} />
              <span>{page.name}</span>
            </Link>
          ))}
        </nav>
        <div className={css.tools}>
          <button type="button" className={css.command} onClick={() => setPalette(true)}>
            <Icon name="search" size={14} />
            <span>Go to, do…</span>
            <kbd>Ctrl K</kbd>
          </button>
          <Tooltip label={scheme === "dark" ? "Light colours" : "Dark colours"}>
            <ActionIcon
              variant="subtle"
              color="gray"
              onClick={toggleTheme}
              aria-label="Change colours"
            >
              <Icon name={scheme === "dark" ? "sun" : "moon"} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label={`Sign out of Weft ${version}`}>
            <ActionIcon
              className={css.out ?? ""}
              variant="subtle"
              color="gray"
              onClick={signOut}
              aria-label="Sign out"
            >
              <Icon name="out" />
            </ActionIcon>
          </Tooltip>
        </div>
      </header>
      <main id="main" className={css.main} tabIndex={-1}>
        <Suspense fallback={<Loading what="the page" />}>
          <Outlet />
        </Suspense>
      </main>
      {palette ? (
        <Suspense>
          <Palette onClose={() => setPalette(false)} toggleTheme={toggleTheme} signOut={signOut} />
        </Suspense>
      ) : null}
    </div>
  );
}
