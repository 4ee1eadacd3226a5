#!/usr/bin/env node
/** `meter-gateway`: the command line (program.ts), on the Node that it needs. */
import { startOnNeededNode } from '../base/needed-node.ts';

await startOnNeededNode(process, 'meter-gateway', () => import('./program.ts'));
