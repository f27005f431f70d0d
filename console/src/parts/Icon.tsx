const PATHS = {
  incidents: "M12 4.5l8.5 15h-17ZM12 10.5v4M12 17h.01",
  detections:
    "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16ZM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM12 2.5V6M12 18v3.5M2.5 12H6M18 12h3.5",
  events: "M4 6h16M4 12h16M4 18h10",
  query: "M8 8l-4 4 4 4M16 8l4 4-4 4M13.5 6l-3 12",
  loop: "M20 12a8 8 0 1 1-2.5-5.8M20 4v5h-5",
  sources: "M5 12a7 7 0 0 1 7 7M5 5a14 14 0 0 1 14 14M6 18h.01",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM20 20l-4-4",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1.1 1.1M17.3 17.3l1.1 1.1M5.6 18.4l1.1-1.1M17.3 6.7l1.1-1.1",
  moon: "M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5Z",
  close: "M6 6l12 12M18 6L6 18",
  pause: "M9 6v12M15 6v12",
  play: "M8 5.5v13l10-6.5Z",
  plus: "M12 6v12M6 12h12",
  minus: "M6 12h12",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7L12 17",
  fields: "M4 5h7v14H4ZM15 6h5M15 12h5M15 18h5",
  down: "M7 10l5 5 5-5",
  right: "M10 7l5 5-5 5",
  download: "M12 4v11M7.5 11L12 15.5 16.5 11M5 20h14",
  clock: "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16ZM12 8v4l2.5 2",
  check: "M5 12.5l4.5 4.5L19 7.5",
  undo: "M9 8H15a5 5 0 0 1 0 10H8M9 8l3-3M9 8l3 3",
  out: "M14 5h5v14h-5M4 12h10M10.5 8.5L14 12l-3.5 3.5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.8"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
