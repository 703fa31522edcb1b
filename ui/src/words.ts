// The search box: words that must stand in a name, and conditions on attributes such as `host=web1`.
//
// `=` and `!=` compare, `~` takes `*` for anything, `<`, `<=`, `>`, `>=` order. Values with blanks go in double quotes.
// Words are looked for in the names of metrics and resources; conditions become a filter that the API evaluates.

export type Scalar = string | number | boolean | null;
export type Filter = Record<string, unknown>;

export interface Search {
  words: string[];
  /** `null`: every resource. */
  filter: Filter | null;
}

const TOKEN = /([\w.-]+)(!=|<=|>=|=|~|<|>)("[^"]*"|\S*)|"([^"]*)"|(\S+)/gu;

/** Types of attributes that are compared as other things than text. */
export type Types = Record<string, string>;

export function parseSearch(text: string, types: Types = {}): Search {
  const words: string[] = [];
  const filters: Filter[] = [];
  for (const [, attribute, operator, value, quoted, word] of text.matchAll(TOKEN)) {
    if (attribute !== undefined && operator !== undefined) {
      filters.push(condition(attribute, operator, unquote(value ?? ""), types));
    } else {
      words.push((quoted ?? word ?? "").toLowerCase());
    }
  }
  const filter = filters.length > 1 ? { and: filters } : (filters[0] ?? null);
  return { words: words.filter((word) => word !== ""), filter };
}

function unquote(text: string): string {
  return text.startsWith('"') ? text.replaceAll('"', "") : text;
}

function condition(attribute: string, operator: string, text: string, types: Types): Filter {
  if (operator === "~") return { like: { [attribute]: likePattern(text) } };
  return { [operator]: { [attribute]: scalar(text, types[attribute]) } };
}

function scalar(text: string, type: string | undefined): Scalar {
  if (text === "" || text === "null") return null;
  if (type === "number") return Number(text);
  if (type === "bool") return text === "true";
  return text;
}

/** `*` for anything; what has a meaning of its own there is escaped. */
function likePattern(text: string): string {
  return text.replace(/[\\%_]/g, "\\$&").replaceAll("*", "%");
}

/** Whether all words stand in a text. */
export function matches(words: string[], text: string): boolean {
  const lower = text.toLowerCase();
  return words.every((word) => lower.includes(word));
}

/** A name as a pattern that only the name itself matches. */
export function literalGlob(name: string): string {
  return name.replace(/[*?[]/g, "[$&]");
}
