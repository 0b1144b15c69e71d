// grafana.mjs FILE…: whether dashboards are ones by the types that Grafana publishes, their panels' options and fields by those of the plugins
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGenerator } from 'ts-json-schema-generator';
import Ajv from 'ajv';

const here = import.meta.dirname;
const plugins = { barchart: 'Options FieldConfig', stat: 'Options', table: 'Options FieldConfig', timeseries: 'Options FieldConfig' };

// Grafana fills in what a panel leaves out, so options are partial
const types = join(here, 'types.ts');
let text = "export type { Dashboard } from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';\n" +
  'type Part<T> = T extends (infer U)[] ? Part<U>[] : T extends object ? { [K in keyof T]?: Part<T[K]> } : T;\n';
for (const [plugin, names] of Object.entries(plugins)) {
  for (const name of names.split(' ')) {
    text += `import type { ${name} as ${plugin}${name} } from './node_modules/@grafana/schema/dist/types/raw/composable/${plugin}/panelcfg/x/types.gen';\n` +
      `export type ${plugin}_${name} = Part<${plugin}${name}>;\n`;
  }
}
writeFileSync(types, text);
const options = { path: types, skipTypeCheck: true, expose: 'none', additionalProperties: false, tsconfig: join(here, 'tsconfig.json') };
const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
const validators = {};

const faults = [];
const check = (where, type, value) => {
  const valid = validators[type] ??= ajv.compile(createGenerator({ ...options, type }).createSchema(type));
  if (!valid(value)) for (const e of valid.errors) faults.push(`${where}${e.instancePath}: ${e.message} ${JSON.stringify(e.params)}`);
};

for (const file of process.argv.slice(2)) {
  const dashboard = JSON.parse(readFileSync(file));
  // what an exported file has besides
  const { __inputs: inputs, __requires: needs, ...rest } = dashboard;
  check('', 'Dashboard', rest);
  for (const panel of dashboard.panels) {
    const names = plugins[panel.type]?.split(' ');
    if (!names) faults.push(`${panel.title}: no types for the panel ${panel.type}`);
    check(`${panel.title}: options`, `${panel.type}_Options`, panel.options ?? {});
    const custom = panel.fieldConfig?.defaults?.custom;
    if (custom) check(`${panel.title}: custom`, `${panel.type}_FieldConfig`, custom);
  }
  for (const one of JSON.stringify(rest).matchAll(/\$\{(DS_\w+)\}/g)) if (!inputs.some(i => i.name === one[1])) faults.push(`no input ${one[1]}`);
  if (!needs.length) faults.push('__requires is empty');
}
for (const fault of faults) console.log(fault);
process.exit(faults.length ? 1 : 0);
