import { Modal } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState, type KeyboardEvent } from "react";
import { Icon, type IconName } from "../parts/Icon";
import { PAGES } from "./Shell";
import css from "./Palette.module.css";

interface Command {
  name: string;
  group: string;
  icon: IconName;
  run: () => void;
}

interface Props {
  onClose: () => void;
  toggleTheme: () => void;
  signOut: () => void;
}

const SEARCHES = [
  { name: "Detection findings", q: 'class:"Detection Finding"' },
  { name: "Events of high severity and above", q: "severity_id:>=4" },
  { name: "Failed sign-ins", q: "class:Authentication status:Failure" },
  { name: "What the mesh itself did", q: "product:Weft" },
];

export default function Palette({ onClose, toggleTheme, signOut }: Props) {
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const commands = useMemo<Command[]>(
    () => [
      ...PAGES.map((page) => ({
        name: page.name,
        group: "Go to",
        icon: page.icon,
        run: () => void navigate({ to: page.to }),
      })),
      ...SEARCHES.map(({ name, q }) => ({
        name,
        group: "Show",
        icon: "search" as const,
        run: () => void navigate({ to: "/events", search: { q } }),
      })),
      {
        name: "Closed incidents",
        group: "Show",
        icon: "incidents",
        run: () => void navigate({ to: "/incidents", search: { state: "closed" } }),
      },
      {
        name: "Rules that cannot fire here",
        group: "Show",
        icon: "detections",
        run: () => void navigate({ to: "/detections", search: { state: "never" } }),
      },
      {
        name: "Rules that fired",
        group: "Show",
        icon: "detections",
        run: () => void navigate({ to: "/detections", search: { state: "fired" } }),
      },
      { name: "Change colours", group: "Do", icon: "sun", run: toggleTheme },
      {
        name: "Copy a link to this view",
        group: "Do",
        icon: "link",
        run: () => void navigator.clipboard.writeText(location.href),
      },
      { name: "Sign out", group: "Do", icon: "out", run: signOut },
    ],
    [navigate, toggleTheme, signOut],
  );
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = commands.filter((one) =>
    words.every((word) => `${one.group} ${one.name}`.toLowerCase().includes(word)),
  );
  if (text.trim()) {
    const q = text.trim();
    found.push({
      name: `Search events for ${q}`,
      group: "Show",
      icon: "events",
      run: () => void navigate({ to: "/events", search: { q } }),
    });
  }
  const chosen = Math.min(at, found.length - 1);
  const run = (command: Command | undefined) => {
    onClose();
    command?.run();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setAt((chosen + 1) % found.length);
    else if (event.key === "ArrowUp") setAt((chosen - 1 + found.length) % found.length);
    else if (event.key === "Enter") run(found[chosen]);
    else return;
    event.preventDefault();
  };

  // The page itself never scrolls, and the lock would add a style that the policy refuses.
  return (
    <Modal.Root
      opened
      onClose={onClose}
      lockScroll={false}
      padding={0}
      size={520}
      yOffset="12vh"
      classNames={{ content: css.content ?? "" }}
    >
      <Modal.Overlay backgroundOpacity={0.4} />
      <Modal.Content aria-label="Commands">
        <Modal.Body>
          <input
            className={css.input}
            value={text}
            data-autofocus
            placeholder="Go to, show, do…"
            aria-label="Command"
            role="combobox"
            aria-expanded="true"
            aria-controls="palette-list"
            aria-activedescendant={`palette-${chosen}`}
            onChange={(event) => {
              setText(event.currentTarget.value);
              setAt(0);
            }}
            onKeyDown={onKey}
          />
          <div id="palette-list" role="listbox" aria-label="Commands" className={css.list}>
            {found.map((command, index) => (
              <div
                key={command.name}
                id={`palette-${index}`}
                role="option"
                aria-selected={index === chosen}
                className={css.item}
                onMouseMove={() => setAt(index)}
                onClick={() => run(command)}
              >
                <Icon name={command.icon} size={15} />
                <span>{command.name}</span>
                <span className={css.group}>{command.group}</span>
              </div>
            ))}
          </div>
        </Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
