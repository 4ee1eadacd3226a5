/** Questions at a terminal. */
import type { Interface } from 'node:readline';
import { Failure } from '../base/errors.ts';

/** The answer, or a failure where none will come: Ctrl-C, Ctrl-D, a terminal that is gone. Left to itself the question would wait for ever. */
export const answerTo = (lines: Interface, question: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const gone = () =>
      reject(
        new Failure('bad-argument', 'no answer: the terminal was closed', { next: 'Nothing was done: try again.' }),
      );
    lines.once('close', gone);
    lines.question(question, (answer) => {
      lines.off('close', gone);
      resolve(answer);
    });
  });
