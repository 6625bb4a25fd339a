// The decision in one sentence: what it is now, and what it was with every head in place.

import type { Decision, ModelInfo } from "../../protocol/schema";
import { now, number, output, percent } from "../../state/words";

/** "shower curtain 92 % (was bull mastiff 57 %)". */
export function headline(info: ModelInfo, decision: Decision): string {
  const { target_name, target_before, target_after, rows } = decision;
  const [first] = rows;
  if (!info.by_class || !first) {
    const said = info.by_class ? (value: number) => output(info, value) : number;
    const is = `${target_name}: ${said(target_after ?? target_before)}`;
    return target_after === null ? is : `${is} (was ${said(target_before)})`;
  }
  const said = (value: number) => (info.output === "value" ? number(value) : percent(value));
  const is = `${first.name} ${said(now(first))}`;
  if (first.after === null) return is;
  const was = rows.reduce((best, row) => (row.before > best.before ? row : best));
  const name = was === first ? "" : `${was.name} `;
  return `${is} (was ${name}${said(was.before)})`;
}
