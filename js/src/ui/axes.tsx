// What every chart shares: its margins, and the axes with round numbers.

import { type Scale, tick } from "../draw/scale";

export const LEFT = 44;
export const RIGHT = 10;
export const TOP = 10;
export const BOTTOM = 32;
/** Room above a chart for the title of its heights, which would cover what it names in the chart. */
export const TITLE = 14;

interface Line {
  stroke: string;
  "stroke-width"?: string;
  "stroke-dasharray"?: string;
}

/** Across the whole chart at one height. */
export function LevelLine({ y, width, ...line }: Line & { y: number; width: number }) {
  return <line x1={LEFT} x2={width - RIGHT} y1={y} y2={y} {...line} />;
}

/** From the top of a chart to its axis. */
export function PlumbLine({ x, height, ...line }: Line & { x: number; height: number }) {
  return <line x1={x} x2={x} y1={TOP} y2={height - BOTTOM} {...line} />;
}

const stepOf = ({ ticks }: Scale) => (ticks[1] ?? 1) - (ticks[0] ?? 0);

export function YAxis({ y, width }: { y: Scale; width: number }) {
  return (
    <g>
      {y.ticks.map((value) => (
        <g key={`y ${value}`}>
          <LevelLine y={y.at(value)} width={width} stroke="var(--vaw-line)" />
          <text x={LEFT - 5} y={y.at(value) + 4} text-anchor="end">
            {tick(value, stepOf(y))}
          </text>
        </g>
      ))}
    </g>
  );
}

/** What the heights are, above the chart. */
export function YTitle({ children }: { children: string }) {
  return (
    <text x={LEFT} y={TOP + 3}>
      {children}
    </text>
  );
}

interface XProps {
  /** Where each label stands, and what it says. */
  labels: readonly (readonly [at: number, label: string])[];
  title: string;
  width: number;
  height: number;
}

export function XAxis({ labels, title, width, height }: XProps) {
  return (
    <g>
      {labels.map(([at, label]) => (
        <text key={`x ${label}`} x={at} y={height - BOTTOM + 14} text-anchor="middle">
          {label}
        </text>
      ))}
      <text x={(LEFT + width) / 2} y={height - 4} text-anchor="middle">
        {title}
      </text>
    </g>
  );
}

/** The labels of a scale's own round numbers. */
export function numbered(x: Scale): [number, string][] {
  return x.ticks.map((value) => [x.at(value), tick(value, stepOf(x))]);
}
