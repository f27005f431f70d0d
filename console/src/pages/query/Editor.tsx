import { autocompletion, closeBrackets, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { SQLDialect, sql, type SQLNamespace } from "@codemirror/lang-sql";
import { HighlightStyle, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useImperativeHandle, useRef, type Ref } from "react";
import { ApiError } from "../../api/client";
import type { TableInfo } from "../../api/types";
import css from "./Editor.module.css";

export interface EditorHandle {
  insert: (text: string) => void;
  replace: (text: string) => void;
  focus: () => void;
}

interface Props {
  initial: string;
  tables: TableInfo[];
  error: ApiError | null;
  onChange: (text: string) => void;
  onRun: () => void;
  ref: Ref<EditorHandle>;
}

/** The engine's words; the dialects at hand would colour columns such as `message`. */
const dialect = SQLDialect.define({
  keywords:
    "select from where group by having order asc desc nulls first last limit offset distinct as and or not in is null like ilike similar to between exists case when then else end join inner left right full outer cross lateral on using union all except intersect with recursive values over partition rows range unbounded preceding following current row filter within cast try_cast interval explain analyze describe show tables columns unnest qualify true false",
  types:
    "bigint int integer smallint double float real decimal varchar text boolean timestamp date",
  builtin: "",
  doubleDollarQuotedStrings: false,
  operatorChars: "+-*/<>=~!@#%^&|`?",
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--w-accent)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--w-code-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--w-code-number)" },
  { tag: tags.comment, color: "var(--w-dim)", fontStyle: "italic" },
  { tag: tags.typeName, color: "var(--w-code-word)" },
]);

const look = EditorView.theme({
  "&": {
    height: "100%",
    fontSize: "13px",
    backgroundColor: "var(--w-surface)",
    color: "var(--w-text)",
  },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--w-mono)", lineHeight: "1.55" },
  ".cm-content": { padding: "8px 0", caretColor: "var(--w-text)" },
  ".cm-cursor": { borderLeftColor: "var(--w-text)" },
  ".cm-gutters": { backgroundColor: "var(--w-surface)", color: "var(--w-dim)", border: "none" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground, ::selection": {
    backgroundColor: "var(--w-select) !important",
  },
  ".cm-placeholder": { color: "var(--w-dim)" },
  ".cm-tooltip": {
    backgroundColor: "var(--w-raised)",
    color: "var(--w-text)",
    border: "1px solid var(--w-line)",
    borderRadius: "6px",
    overflow: "hidden",
  },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": {
    backgroundColor: "var(--w-select)",
    color: "var(--w-text)",
  },
  ".cm-completionDetail": { color: "var(--w-dim)", fontStyle: "normal", marginLeft: "10px" },
});

/** Tables to their columns; nested columns are offered in the form in which SQL reads them. */
function schemaOf(tables: TableInfo[]): SQLNamespace {
  return Object.fromEntries(
    tables.map((table) => [
      table.name,
      table.columns.map((column) => {
        const [head = "", ...rest] = column.path.split(".");
        const text = head + rest.map((part) => `['${part}']`).join("");
        return {
          label: column.path,
          apply: text,
          detail: column.data_type.slice(0, 40),
          type: "property",
        };
      }),
    ]),
  );
}

function language(tables: TableInfo[]) {
  return sql({
    dialect,
    schema: schemaOf(tables),
    upperCaseKeywords: true,
    ...(tables.some((table) => table.name === "events") ? { defaultTable: "events" } : {}),
  });
}

export function Editor({ initial, tables, error, onChange, onRun, ref }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const schema = useRef(new Compartment());
  const calls = useRef({ onChange, onRun });
  calls.current = { onChange, onRun };

  useEffect(() => {
    if (!host.current) return;
    const nonce =
      document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? "";
    const run = () => {
      calls.current.onRun();
      return true;
    };
    const editor = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: initial,
        extensions: [
          EditorView.cspNonce.of(nonce),
          Prec.highest(keymap.of([{ key: "Mod-Enter", run }])),
          lineNumbers(),
          history(),
          bracketMatching(),
          closeBrackets(),
          autocompletion(),
          syntaxHighlighting(colours),
          schema.current.of(language([])),
          keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
          placeholder("SELECT class_name, count(*) FROM events GROUP BY class_name"),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": "SQL statement" }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) calls.current.onChange(update.state.doc.toString());
          }),
          look,
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, []);

  useEffect(() => {
    view.current?.dispatch({ effects: schema.current.reconfigure(language(tables)) });
  }, [tables]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const end = editor.state.doc.length;
    const marks = error?.span
      ? [
          {
            from: Math.min(error.span.start, end),
            to: Math.min(error.span.end, end),
            severity: "error" as const,
            message: error.message,
          },
        ]
      : [];
    editor.dispatch(setDiagnostics(editor.state, marks));
  }, [error]);

  useImperativeHandle(ref, () => ({
    insert: (text) => {
      const editor = view.current;
      if (!editor) return;
      editor.dispatch(editor.state.replaceSelection(text));
      editor.focus();
    },
    replace: (text) => {
      const editor = view.current;
      editor?.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
      editor?.focus();
    },
    focus: () => view.current?.focus(),
  }));

  return <div ref={host} className={css.editor} />;
}
