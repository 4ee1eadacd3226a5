#!/usr/bin/env node
/** `meter-central` as it is installed (program.ts), on the Node that it needs. */
import { startOnNeededNode } from '../base/needed-node.ts';

await startOnNeededNode(process, 'meter-central', () => import('./program.ts'));
