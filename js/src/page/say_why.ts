// A page that cannot be shown says so: a blank one tells nobody anything.

export function sayWhy(error: unknown, needs: string): never {
  const words = document.createElement("p");
  words.setAttribute("role", "alert");
  const reason = error instanceof Error ? error.message : error;
  words.textContent = `This page cannot be shown: ${reason}. ${needs}`;
  document.body.prepend(words);
  throw error;
}
