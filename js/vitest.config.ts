import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const fake = fileURLToPath(new URL("test/live/fake_ort.ts", import.meta.url));

export default defineConfig({
  resolve: { alias: [{ find: "./ort.js", replacement: fake }] },
  test: {
    environment: "jsdom",
    include: ["test/**/*.test.{ts,tsx}"],
    setupFiles: ["test/setup.ts"],
    isolate: false,
  },
});
