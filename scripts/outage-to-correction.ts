/** From an outage of a link to a correction on a bill, in virtual time: `node scripts/outage-to-correction.ts`. */
import { storyLines } from '../test/support/outage-story.ts';

process.stdout.write(`${storyLines().join('\n')}\n`);
