/** Holds the code against the tables of ARCHITECTURE.md: who imports whom, and why each package is there. */
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const root = path.resolve(__dirname, '..');
const document = readFileSync(path.join(root, 'ARCHITECTURE.md'), 'utf8');

interface Import {
  /** Repository path of the importing file. */
  readonly file: string;
  /** The room or package that is imported. */
  readonly target: string;
  readonly kind: 'room' | 'package';
  /** Erased by the compiler. */
  readonly typeOnly: boolean;
}

interface Rule {
  readonly rooms: ReadonlySet<string>;
  readonly typeRooms: ReadonlySet<string>;
  readonly packages: ReadonlySet<string>;
}

const rules = new Map<string, Rule>(
  tableRows('| room |').map(([room, , rooms, packages]) => {
    const names = list(rooms);
    const typed = names.filter((name) => name.endsWith(' types')).map((name) => name.slice(0, -' types'.length));
    return [
      room,
      {
        rooms: new Set(names.filter((name) => !name.endsWith(' types'))),
        typeRooms: new Set(typed),
        packages: new Set(list(packages)),
      },
    ];
  }),
);

const imports = new Map<string, Import[]>();
for (const file of sourceFiles()) {
  const room = roomOf(file);
  imports.set(room, [...(imports.get(room) ?? []), ...importsOf(file)]);
}

describe('rooms', () => {
  test('are the folders that exist', () => {
    expect([...imports.keys()].sort()).toEqual([...rules.keys()].sort());
  });

  test.each([...rules.keys()])('%s imports what its row names', (room) => {
    const rule = rules.get(room)!;
    const others = (imports.get(room) ?? []).filter(({ target }) => target !== room);
    const forbidden = others.filter(({ target, kind, typeOnly }) => {
      if (kind === 'package') return !rule.packages.has(target);
      return !rule.rooms.has(target) && !(typeOnly && rule.typeRooms.has(target));
    });
    expect(forbidden.map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
  });

  test('import in one direction', () => {
    const order: string[] = [];
    const visit = (room: string, trail: readonly string[]): void => {
      expect(trail, `${[...trail, room].join(' → ')} is a circle`).not.toContain(room);
      if (order.includes(room)) return;
      const rule = rules.get(room);
      expect(rule, `${trail.at(-1)} may import ${room}, which is no room`).toBeDefined();
      for (const next of [...rule!.rooms, ...rule!.typeRooms]) visit(next, [...trail, room]);
      order.push(room);
    };
    for (const room of rules.keys()) visit(room, []);
  });

  test('reach ONNX Runtime through one file', () => {
    const users = [...imports.values()].flat().filter(({ target }) => target === 'onnxruntime-node');
    expect([...new Set(users.map(({ file }) => file))]).toEqual(['src/runtime/session.ts']);
  });
});

describe('dependencies', () => {
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });

  test('have a reason each', () => {
    expect(
      tableRows('| package |')
        .flatMap(([packages]) => list(packages))
        .sort(),
    ).toEqual(names.sort());
  });

  test('are pinned exactly', () => {
    const versions = Object.entries<string>({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });

  test('of the product are imported by it', () => {
    const used = new Set([...imports.values()].flat().map(({ target }) => target));
    expect(Object.keys(manifest.dependencies).filter((name) => !used.has(name))).toEqual([]);
  });
});

/** Cells of all tables whose first line starts so. */
function tableRows(head: string): string[][] {
  const lines = document.split('\n');
  const rows: string[][] = [];
  lines.forEach((line, start) => {
    if (!line.startsWith(head)) return;
    // The line after the head is the rule under it.
    for (let i = start + 2; lines[i]?.startsWith('|'); i++) {
      rows.push(
        lines[i]
          .slice(1, -1)
          .split('|')
          .map((cell) => cell.trim()),
      );
    }
  });
  expect(rows.length, `ARCHITECTURE.md has no table "${head}"`).toBeGreaterThan(0);
  return rows;
}

function list(cell: string): string[] {
  return cell === '' ? [] : cell.split(',').map((item) => item.trim());
}

function sourceFiles(): string[] {
  return ['src', 'webview'].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts')),
  );
}

/** `src/prune/plan.ts` → prune, `src/errors.ts` → errors, `webview/…` → webview. */
function roomOf(file: string): string {
  const [top, second] = file.split('/');
  return top === 'src' ? second.replace(/\.ts$/, '') : top;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(path.join(root, file), 'utf8');
  const statement = /^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\b(?:import|require)\('([^']+)'\)/gm;
  return [...text.matchAll(statement)].flatMap(([, type, from, dynamic]): Import[] => {
    const target = from ?? dynamic;
    const typeOnly = type !== undefined;
    if (!target.startsWith('.')) return [{ file, kind: 'package', typeOnly, target: packageOf(target) }];
    // The schemas are data that the validation is written out as.
    const at = path.posix.join(path.posix.dirname(file), target);
    return /^schemas\/[^/]+\.json$/.test(at) ? [] : [{ file, kind: 'room', typeOnly, target: roomOf(at) }];
  });
}

/** `node:fs` → node, `@scope/name/part` → @scope/name. */
function packageOf(specifier: string): string {
  if (specifier.startsWith('node:') || builtinModules.includes(specifier)) return 'node';
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
