// What JSX becomes in the bundles: `h(type, props, ...children)` takes a few kilobytes less than the
// automatic runtime's `jsx(type, { ...props, children })`.
export { Fragment, h } from "preact";
