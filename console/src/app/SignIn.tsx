import { Button, PasswordInput } from "@mantine/core";
import { useState, type FormEvent } from "react";
import { send } from "../api/client";
import { Prose } from "../parts/Prose";
import css from "./SignIn.module.css";

export function SignIn({ unreachable, onDone }: { unreachable: boolean; onDone: () => void }) {
  const [token, setToken] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(
    unreachable ? "the mesh does not answer; check that `weft up` runs" : null,
  );
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      await send("POST", "/api/v1/session", { token });
      onDone();
    } catch (reason) {
      setError(reason instanceof Error ? reason.message : String(reason));
      setBusy(false);
    }
  };
  return (
    <main className={css.page}>
      <form className={css.card} onSubmit={(event) => void submit(event)}>
        <div className={css.head}>
          <img src="/icon.svg" alt="" width="28" height="28" />
          <h1>Sign in to Weft</h1>
        </div>
        <p>
          <code>weft up</code> prints a link that opens this page signed in, once, and a token for
          every other time.
        </p>
        <PasswordInput
          label="Token"
          value={token}
          onChange={(event) => setToken(event.currentTarget.value)}
          error={error === null ? null : <Prose text={error} />}
          autoFocus
          autoComplete="current-password"
          data-testid="token"
        />
        <Button type="submit" loading={busy} disabled={!token.trim()}>
          Sign in
        </Button>
      </form>
    </main>
  );
}
