import page from "./Page.module.css";

/** The head of a page: its title, and the figures that sum it up. */
export function Totals({
  title,
  id,
  facts,
}: {
  title: string;
  id?: string;
  facts: [string, string][];
}) {
  return (
    <header className={page.totals}>
      <h1 id={id}>{title}</h1>
      <dl>
        {facts.map(([value, name]) => (
          <div key={name}>
            <dd>{value}</dd>
            <dt>{name}</dt>
          </div>
        ))}
      </dl>
    </header>
  );
}
