import { useMutation, useQueryClient } from "@tanstack/react-query";
import { send } from "../../api/client";
import type { IncidentAction } from "../../api/types";

/** What a person does with incidents; lists and details are asked for again afterwards. */
export function useAction(onDone?: () => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (action: IncidentAction) => send("POST", "/api/v1/incidents/actions", action),
    onSuccess: () => onDone?.(),
    onSettled: () => queries.invalidateQueries({ queryKey: ["incidents"] }),
  });
}
