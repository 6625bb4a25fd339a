// A kernel that only knows what was computed before the page was written: what each class that was
// asked for looks like, what becomes of the decision without each single head, and the answers to
// requests. Of all else it says that the model is needed.

import type { Method, Params } from "../protocol/requests";
import { namesIn } from "../protocol/safetensors";
import type { Decision, DecisionRow, Head, Problem, Status } from "../protocol/schema";
import type { Selected, Traits } from "../protocol/traits";
import { type Answer, IDLE, NEEDS_MODEL, type PageKernel, type Publish } from "./kernel";

/** What was computed of one class, or of what else is explained. */
export interface Explained {
  values: Partial<Traits>;
  /** The decision without one head, by "layer,head". */
  without: Record<string, { target_after: number; rows: DecisionRow[] }>;
}

/** An answer: bytes, or traits. */
export interface Recorded {
  buffer?: DataView;
  values?: Partial<Traits>;
}

export interface BakedSession {
  values: Partial<Traits>;
  /** By class, as text; those of other classes than the shown one in a part of their own. */
  explained: Record<string, Explained>;
  /** By what was asked: the part that holds the answer, and its place there. */
  answers: Record<string, readonly [part: number, place: number]>;
  /** Heads that the shown results were computed without. */
  pruned: Head[];
}

type Values = Partial<Traits>;
const filled = (view: DataView | undefined) => view !== undefined && view.byteLength > 0;

/** Whether the result of a request that comes as a trait is there already. */
const HELD: { [M in Method]?: (values: Values, params: Params<M>) => boolean } = {
  strength: ({ _strength_data }) => filled(_strength_data),
  strength_set: ({ _strength_set }) => filled(_strength_set),
  layer_decisions: ({ _layer_decisions }) => filled(_layer_decisions),
  importance_before: ({ _importance_before }) => filled(_importance_before),
  place_heads: ({ _patterns_here }) => filled(_patterns_here),
  images: ({ _overview }) => Object.keys(_overview ?? {}).length > 0,
  curve: ({ curves }, { order }) => order in (curves ?? {}),
  partial: ({ partial }, { layer, head }) =>
    partial !== undefined && "rows" in partial && partial.layer === layer && partial.head === head,
  score_map: ({ faithfulness, method, selected_layer }) =>
    faithfulness?.map?.method === method && faithfulness?.map?.layer === selected_layer,
};

/** What a request is known by: its name and parameters, these in order. */
export function keyOf(method: string, params: object): string {
  const allMethods = method === "compare" && "of" in params && params.of === "methods";
  const asked = allMethods ? { ...params, method: undefined } : params;
  const given = Object.entries(asked)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return [method, ...given.map(([name, value]) => `${name}=${JSON.stringify(value)}`)].join(" ");
}

export class BakedKernel implements PageKernel {
  readonly saved = true;

  constructor(
    private readonly session: BakedSession,
    private readonly part: (number: number) => Promise<Recorded[]>,
    private readonly publish: Publish,
    /** The page itself as a file, with what is selected now. */
    private readonly file: () => Promise<Uint8Array<ArrayBuffer>>,
  ) {}

  follows(changes: Partial<Selected>): boolean {
    const problem = this.problem(changes);
    if (problem) this.publish({ status: { ...IDLE, error: said(problem) } });
    return problem === "";
  }

  /** What stands in the way of a selection; "" where nothing does. */
  private problem(changes: Partial<Selected>): string {
    const { values } = this.session;
    const next = { ...values, ...changes };
    const explained = this.session.explained[`${next.target}`];
    if (!explained) return "This class was not asked for when the page was saved.";
    if (!this.knows(explained, next.pruned_heads ?? [])) {
      return this.session.pruned.length > 0
        ? "This page was saved without these heads; with others it holds nothing."
        : "This page has the decision without any single head, not without several.";
    }
    const { selected_image, method, metric, selected_token, direction } = changes;
    if (selected_image !== undefined && selected_image !== values.selected_image) {
      return "This page has one picture only.";
    }
    const maps = explained.values._maps ?? values._maps;
    if (method !== undefined && !namesIn(maps).includes(method)) {
      return "The maps of this method are not in this page.";
    }
    const tables = explained.values._importance_data ?? values._importance_data;
    if (metric !== undefined && !namesIn(tables).includes(metric)) {
      return "The importance of heads by this metric is not in this page.";
    }
    if (selected_token === undefined && direction === undefined) return "";
    const rows = { token: next.selected_token, direction: next.direction };
    const isHere = "attention layer=0" in this.session.answers || this.has("rows", rows);
    return isHere ? "" : "The attention of this token is not in this page.";
  }

  private has(method: string, params: object): boolean {
    return keyOf(method, params) in this.session.answers;
  }

  private knows({ without }: Explained, heads: readonly Head[]): boolean {
    if (`${heads}` === `${this.session.pruned}`) return true;
    if (this.session.pruned.length > 0) return false;
    return heads.length === 1 && `${heads}` in without;
  }

  select(changes: Partial<Selected>): void {
    const { values, explained, pruned } = this.session;
    const now = explained[`${values.target}`];
    if (!now) return;
    if (!("target" in changes || "pruned_heads" in changes)) {
      if (values.status?.error && `${values.pruned_heads}` === `${pruned}`) {
        this.publish({ status: IDLE });
      }
      return;
    }
    const decision = (now.values.decision ?? values.decision) as Decision;
    const heads = values.pruned_heads ?? [];
    const alone = `${heads}` === `${pruned}` ? undefined : now.without[`${heads}`];
    const [layer, head] = heads[0] ?? [0, 0];
    const status: Status = {
      ...IDLE,
      error: said(`Without layer ${layer}, head ${head}: ${PARTLY}`),
    };
    this.publish({
      ...now.values,
      decision: alone ? { ...decision, ...alone, pruned: [...heads] } : decision,
      status: alone ? status : IDLE,
    });
  }

  async answer<M extends Method>(method: M, params: Params<M>): Promise<Answer> {
    if (method === "alive") return null;
    if (method === "page") return new DataView((await this.file()).buffer);
    const { values, answers } = this.session;
    const ofClass = method === "compare" ? { ...params, target: values.target } : params;
    const where = answers[keyOf(method, ofClass)];
    if (where !== undefined) {
      const answer = (await this.part(where[0]))[where[1]];
      if (answer?.values) this.publish(answer.values);
      return answer?.buffer ?? null;
    }
    if (HELD[method]?.(values, params)) return null;
    throw new Error(NEEDS_MODEL);
  }
}

const PARTLY =
  "the decision alone is in this page. Maps, attention and importance are still those of the whole " +
  "model.";

const said = (message: string): Problem => ({ message, hint: NEEDS_MODEL, details: "" });
