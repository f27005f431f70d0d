import { useQuery } from "@tanstack/react-query";
import { get } from "../../api/client";
import type { LedgerAccount, LedgerAnswer } from "../../api/types";
import { count } from "../../lib/format";
import { Prose } from "../../parts/Prose";
import { Empty, Failure, Loading } from "../../parts/States";
import page from "../../parts/Page.module.css";
import css from "./SourcesPage.module.css";

const REFRESH_MS = 10_000;
const COLUMNS: [keyof LedgerAccount & string, string][] = [
  ["received", "Received"],
  ["stored", "Stored"],
  ["refused", "Refused"],
  ["dropped", "Dropped"],
  ["duplicates", "Duplicates"],
  ["waiting", "Waiting"],
  ["missing", "Missing"],
];

/** What was received against what became of it, over restarts. */
export function Ledger() {
  const ledger = useQuery({
    queryKey: ["ledger"],
    queryFn: () => get<LedgerAnswer>("/api/v1/ledger"),
    refetchInterval: REFRESH_MS,
  });
  return (
    <section aria-labelledby="ledger">
      <h2 className={page.heading} id="ledger">
        Conservation ledger
      </h2>
      {ledger.isPending ? (
        <Loading what="the ledger" />
      ) : ledger.isError ? (
        <Failure error={ledger.error} retry={() => void ledger.refetch()} />
      ) : (
        <Accounts ledger={ledger.data} />
      )}
    </section>
  );
}

function Accounts({ ledger }: { ledger: LedgerAnswer }) {
  if (ledger.accounts.length === 0)
    return <Empty title="Nothing received yet">Each record will be accounted for here.</Empty>;
  return (
    <>
      <p className={css.balance} data-balances={ledger.balances}>
        {ledger.balances
          ? "Balances: received = stored + refused + dropped + duplicates + waiting, and every stored row is in its table."
          : "Does not balance:"}
      </p>
      {ledger.balances ? null : (
        <ul className={css.faults}>
          {ledger.faults.map((fault) => (
            <li key={fault}>
              <Prose text={fault} />
            </li>
          ))}
        </ul>
      )}
      <div className={page.scroll} tabIndex={0} role="region" aria-label="Accounts per source">
        <table className={page.table}>
          <thead>
            <tr>
              <th scope="col">Source</th>
              {COLUMNS.map(([key, title]) => (
                <th key={key} scope="col" className={page.right}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {ledger.accounts.map((account) => (
              <Row key={`${account.source} ${account.stream}`} account={account} />
            ))}
            <Row account={{ ...ledger.total, source: "All", stream: "" }} />
          </tbody>
        </table>
      </div>
    </>
  );
}

function Row({ account }: { account: LedgerAccount }) {
  return (
    <tr>
      <th scope="row">
        {account.source}
        <span className={page.stream}>{account.stream}</span>
      </th>
      {COLUMNS.map(([key]) => (
        <td key={key} className={page.right} data-some={key === "missing" && account.missing !== 0}>
          {count(Number(account[key]))}
        </td>
      ))}
    </tr>
  );
}
