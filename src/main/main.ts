#!/usr/bin/env node
/** `meter-gateway`: the command line (program.ts), on the Node that it needs. */
import { startOnNeededNode } from '../base/needed-node.ts';

/** A recording of any length is read in the memory of a short one. V8 takes this only before its heap has grown. */
async function loadDecode() {
  const { setFlagsFromString } = await import('node:v8');
  setFlagsFromString('--optimize-for-size');
  return import('./decode-program.ts');
}
const load = process.argv[2] === 'decode' ? loadDecode : () => import('./program.ts');

await startOnNeededNode(process, 'meter-gateway', load);
