// Bundles the page that draws dashboards: `node build.mjs DIRECTORY`.
import { build } from 'esbuild';
import { copyFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, 'bundle');

await build({
  absWorkingDir: here,
  entryPoints: { page: 'src/page.jsx' },
  outdir: out,
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2022',
  jsx: 'automatic',
  // Their ES modules end in .mjs, for which esbuild takes a CommonJS dependency's default export as Node does: as an object, not a component.
  alias: Object.fromEntries(['data', 'schema', 'ui'].map((name) => [`@grafana/${name}`, `./node_modules/@grafana/${name}/dist/cjs/index.cjs`])),
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.ttf': 'empty', '.woff2': 'dataurl', '.woff': 'dataurl', '.svg': 'dataurl', '.png': 'dataurl' },
  logLevel: 'error',
});
await copyFile(join(here, 'src/page.html'), join(out, 'page.html'));
