/** Layers by name or glob, as recipes name them. A glob's '*' also crosses dots and slashes: layer names are no paths. */
import picomatch from 'picomatch';

/** Whether one of the globs matches a layer. */
export function matchAny(globs: readonly string[]): (name: string) => boolean {
  const matchers = globs.map(matcher);
  return (name) => matchers.some((matches) => matches(name));
}

/** The globs that match none of the layers. */
export function withoutMatch(globs: readonly string[], layers: readonly string[]): string[] {
  return [...new Set(globs)].filter((glob) => !layers.some(matcher(glob)));
}

/** The last override that matches a layer or group. */
export function matchOverrides<T extends { readonly match: string }>(
  overrides: readonly T[],
): (name: string) => T | undefined {
  const exact = new Map<string, number>();
  const globs: { index: number; matches: (name: string) => boolean }[] = [];
  overrides.forEach(({ match }, index) => {
    exact.set(match, index);
    if (/[*?[\]{}!()]/.test(match)) globs.push({ index, matches: matcher(match) });
  });
  return (name) => {
    let last = exact.get(name) ?? -1;
    for (const { index, matches } of globs) if (index > last && matches(name)) last = index;
    return overrides[last];
  };
}

function matcher(glob: string): (name: string) => boolean {
  // bash: '*' spans separators.
  const matches = picomatch(glob, { bash: true, dot: true, nonegate: true });
  return (name) => name === glob || matches(name);
}
