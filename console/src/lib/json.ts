export type TokenKind = "key" | "string" | "number" | "word" | "mark" | "space";

export interface Token {
  kind: TokenKind;
  text: string;
}

const TOKEN =
  /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null)|([{}[\],:])|(\s+)|([^"{}[\],:\s]+|")/g;

/** Splits JSON-like text for colouring. Total: whatever it is, the tokens add up to the text. */
export function tokens(text: string): Token[] {
  const out: Token[] = [];
  for (const match of text.matchAll(TOKEN)) {
    const [all, quoted, colon, number, word, mark, space] = match;
    if (quoted !== undefined) {
      out.push({ kind: colon === undefined ? "string" : "key", text: quoted });
      if (colon !== undefined) out.push({ kind: "mark", text: colon });
    } else if (number !== undefined) out.push({ kind: "number", text: all });
    else if (word !== undefined) out.push({ kind: "word", text: all });
    else if (mark !== undefined) out.push({ kind: "mark", text: all });
    else out.push({ kind: space === undefined ? "string" : "space", text: all });
  }
  return out;
}

/** Indented when it is JSON and the numbers survive; else as it is. */
export function indent(text: string): string {
  // Numbers beyond what a double holds would be changed by parsing.
  if (/\d{16,}/.test(text.replace(/"(?:[^"\\]|\\.)*"/g, ""))) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
