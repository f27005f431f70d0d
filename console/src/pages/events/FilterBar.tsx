import { CloseButton, TextInput } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState, type RefObject } from "react";
import { get } from "../../api/client";
import type { FilterAnswer } from "../../api/types";
import { withoutTerm } from "../../lib/filter";
import { Icon } from "../../parts/Icon";
import { Prose } from "../../parts/Prose";
import css from "./FilterBar.module.css";

interface Props {
  applied: string;
  onApply: (filter: string) => void;
  input: RefObject<HTMLInputElement | null>;
}

function useFilterAnswer(filter: string) {
  return useQuery({
    queryKey: ["filter", filter],
    queryFn: ({ signal }) => get<FilterAnswer>("/api/v1/filter", { filter }, signal),
    placeholderData: keepPreviousData,
    enabled: filter.trim() !== "",
    staleTime: 60_000,
  });
}

export function FilterBar({ applied, onApply, input }: Props) {
  const [text, setText] = useState(applied);
  const [settled, setSettled] = useState(applied);
  useEffect(() => setText(applied), [applied]);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), 250);
    return () => clearTimeout(timer);
  }, [text]);
  const draft = useFilterAnswer(settled);
  const error = settled === text && text.trim() ? draft.data?.error : undefined;

  return (
    <form
      className={css.form}
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        if (!error) onApply(text.trim());
      }}
    >
      <TextInput
        ref={input}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.blur();
        }}
        aria-label="Filter"
        aria-invalid={error ? true : undefined}
        aria-describedby={error ? "filter-error" : undefined}
        placeholder='Filter, e.g.  user:ann  class:Auth*  severity_id:>=3  "some text"  -product:proxy'
        leftSection={<Icon name="search" size={15} />}
        rightSection={
          text ? (
            <CloseButton
              size="sm"
              aria-label="Clear the filter"
              onClick={() => {
                setText("");
                onApply("");
              }}
            />
          ) : (
            <kbd className={css.kbd}>/</kbd>
          )
        }
        classNames={{ input: css.input ?? "" }}
        spellCheck={false}
        autoComplete="off"
      />
      {error ? (
        <p id="filter-error" className={css.error} role="alert">
          <span>
            <Prose text={error.message} />
          </span>
          {error.span ? (
            <span className={css.excerpt}>
              {text.slice(0, error.span.start)}
              <mark>{text.slice(error.span.start, error.span.end) || "\u00a0"}</mark>
              {text.slice(error.span.end)}
            </span>
          ) : null}
        </p>
      ) : null}
    </form>
  );
}

/** The parts of the filter that must hold, each to be taken away by itself. */
export function FilterChips({
  applied,
  onApply,
}: {
  applied: string;
  onApply: (filter: string) => void;
}) {
  const answer = useFilterAnswer(applied);
  const terms = applied.trim() ? (answer.data?.terms ?? []) : [];
  if (terms.length === 0) return null;
  return (
    <ul className={css.chips} aria-label="Terms of the filter">
      {terms.map((term) => (
        <li
          key={`${term.span.start}-${term.text}`}
          className={css.chip}
          data-negated={term.negated}
        >
          <span>{term.text}</span>
          <CloseButton
            size={18}
            iconSize={12}
            aria-label={`Remove ${term.text}`}
            onClick={() => onApply(withoutTerm(applied, term))}
          />
        </li>
      ))}
      {terms.length > 1 ? (
        <li>
          <button type="button" className={css.clear} onClick={() => onApply("")}>
            Clear all
          </button>
        </li>
      ) : null}
    </ul>
  );
}
