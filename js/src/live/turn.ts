// Whose turn it is: what was begun counts until something newer is.

/** Whether what was begun still counts. */
export type Still = () => boolean;

/** Told how far something is, 0 to 1; throws `Interrupted` where it no longer counts. */
export type Step = (fraction: number) => void;

/** The steps of something, by what it is called. */
export type Steps = (label: string) => Step;

/** What was begun no longer counts. */
export class Interrupted extends Error {}
