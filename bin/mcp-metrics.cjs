#!/usr/bin/env node
/*
 * Says so when Node is too old, before anything is loaded that an old Node cannot read: this file keeps to syntax that
 * every Node understands.
 */
var NEEDED = [22, 18];
var found = process.versions.node.split('.').map(Number);

if (found[0] > NEEDED[0] || (found[0] === NEEDED[0] && found[1] >= NEEDED[1])) {
  import('../dist/cli/main.js').catch(function (error) {
    console.error(error);
    process.exitCode = 1;
  });
} else {
  console.error(
    'mcp-metrics needs Node.js ' +
      NEEDED.join('.') +
      ' or newer; this is ' +
      process.version +
      ' (' +
      process.execPath +
      ').\n' +
      'Install a newer one, for instance beside this package: npm install node@24, then run npx mcp-metrics again.',
  );
  process.exitCode = 1;
}
