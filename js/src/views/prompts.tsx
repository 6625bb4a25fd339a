// Text prompts that stand for classes: type one, explain one, take one away.

import { useSignal } from "@preact/signals";
import type { Store } from "../state/store";
import type { ModelInfo } from "../state/traits";

export function Prompts({ store, info }: { store: Store; info: ModelInfo }) {
  const text = useSignal("");
  const problem = useSignal("");
  const prompts = info.num_classes > 0 ? (info.class_names ?? []) : [];
  const ask = async (next: readonly string[]) => {
    problem.value = await store.request("prompts", { prompts: [...next] });
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
            aria-pressed={store.traits.target.value === index}
            title="explain this prompt"
            data-testid={`prompt-${index}`}
            onClick={() => store.set({ target: index })}
          >
            {prompt}
          </button>
          <button
            type="button"
            class="vaw-chip"
            aria-label={`take ${prompt} away`}
            title="take this prompt away"
            data-testid={`prompt-away-${index}`}
            onClick={() => ask(prompts.filter((other) => other !== prompt))}
          >
            ×
          </button>
        </span>
      ))}
      <input
        type="text"
        data-testid="add-prompt"
        placeholder={prompts.length === 0 ? "type what may be in the picture" : "another prompt"}
        aria-label="add a prompt"
        title="Enter adds it; the model weighs all prompts against each other"
        size={28}
        maxLength={300}
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          event.stopPropagation();
          if (event.key === "Enter") {
            event.preventDefault();
            add();
          }
        }}
      />
      {problem.value && <p role="alert">{problem.value}</p>}
    </div>
  );
}
