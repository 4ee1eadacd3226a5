#!/usr/bin/env node
/** `meter-gateway`: the command line (program.ts), on the Node that it needs. */
import { setFlagsFromString } from 'node:v8';
import { startOnNeededNode } from '../base/needed-node.ts';

// A recording of any length is read in the memory of a short one. V8 takes this only before its heap has grown.
const decodes = process.argv[2] === 'decode';
if (decodes) setFlagsFromString('--optimize-for-size');

await startOnNeededNode(process, 'meter-gateway', () =>
  decodes ? import('./decode-program.ts') : import('./program.ts'),
);
