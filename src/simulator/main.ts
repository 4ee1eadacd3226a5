#!/usr/bin/env node
/** `meter-simulator`: virtual meters (program.ts), on the Node that they need. */
import { startOnNeededNode } from '../base/needed-node.ts';

await startOnNeededNode(process, 'meter-simulator', () => import('./program.ts'));
