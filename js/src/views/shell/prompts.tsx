// Text prompts that stand for classes: type one, explain one, take one away.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ModelInfo } from "../../protocol/schema";
import type { Store } from "../../state/store";

export function Prompts({ store, info }: { store: Store; info: ModelInfo }) {
  const text = useSignal("");
  const wanted = useSignal<readonly string[] | null>(null); // until the kernel has read them
  const box = useRef<HTMLInputElement>(null);
  const problem = useSignal("");
  const names = info.num_classes > 0 ? (info.class_names ?? []) : [];
  const prompts = wanted.value ?? names;
  useEffect(() => {
    wanted.value = null;
  }, [info, wanted]);
  const ask = async (next: readonly string[]) => {
    wanted.value = next;
    box.current?.focus();
    problem.value = await store.request("prompts", { prompts: [...next] });
    if (problem.peek()) wanted.value = null;
  };
  const add = () => {
    const typed = text.value.trim();
    text.value = "";
    if (typed && !prompts.includes(typed)) ask([...prompts, typed]);
  };
  return (
    <div class="vaw-row vaw-prompts" role="group" aria-label="prompts">
      {prompts.map((prompt, index) => (
        <span class="vaw-prompt" key={prompt}>
          <button
            type="button"
            class="vaw-chip"
            aria-pressed={prompt === names[store.traits.target.value ?? -1]}
            data-tip="explain this prompt"
            data-testid={`prompt-${index}`}
            onClick={() => names.includes(prompt) && store.set({ target: names.indexOf(prompt) })}
          >
            {prompt}
          </button>
          <button
            type="button"
            class="vaw-chip"
            aria-label={`take ${prompt} away`}
            data-tip="remove this prompt"
            data-testid={`prompt-away-${index}`}
            onClick={() => ask(prompts.filter((other) => other !== prompt))}
          >
            ×
          </button>
        </span>
      ))}
      <input
        ref={box}
        type="text"
        data-testid="add-prompt"
        placeholder={prompts.length === 0 ? "type what may be in the picture" : "another prompt"}
        aria-label="add a prompt"
        data-tip="Enter adds it; the model weighs all prompts against each other"
        size={28}
        maxLength={300}
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          event.stopPropagation();
          if (event.key === "Enter" && !event.isComposing) {
            event.preventDefault();
            add();
          }
        }}
      />
      {problem.value && <p role="alert">{problem.value}</p>}
    </div>
  );
}
