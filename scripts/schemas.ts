/**
 * `npm run schemas`: writes the JSON schemas that VS Code completes recipes and dataset files from. Their source is the
 * validation itself; a test holds the committed files against it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { schemaFiles } from '../src/protocol/schemaFiles';

// npm runs scripts in the repository's root.
mkdirSync('schemas', { recursive: true });
for (const [name, text] of Object.entries(schemaFiles())) writeFileSync(`schemas/${name}`, text);
