// The texts that scripts need: those of the catalogue that begin with "js.".
const words = JSON.parse(document.documentElement.dataset.words || "{}");

export const lang = document.documentElement.lang || "en";

// say returns a text; each %s is replaced by the next argument.
export function say(key, ...args) {
  let i = 0;
  return (words[key] ?? key).replace(/%s/g, () => String(args[i++]));
}

// number writes a number as the server does: 1,234,567.
export const number = (n) => Number(n).toLocaleString("en-US");
