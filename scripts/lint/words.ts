/**
 * Rules of the linter for words: a name that means nothing, or several things, is refused, and the message says what to use
 * instead (docs/glossary.md). `scripts/generate/rooms.ts` puts them into .oxlintrc.json.
 */
interface Node {
  readonly name: string;
}
interface Comment {
  readonly value: string;
  readonly loc: unknown;
}
interface Context {
  readonly sourceCode: { getAllComments(): readonly Comment[] };
  report(finding: { readonly message: string; readonly node?: Node; readonly loc?: unknown }): void;
}

/** Part of a name: `busFaultTold` has the word `told` in it. */
const part = (words: string): RegExp => {
  const large = words.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase());
  return new RegExp(`^(?:${words})(?![a-z])|(?:${large})(?![a-z])`);
};
const whole = (words: string): RegExp => new RegExp(`^(?:${words})$`);

const words: readonly (readonly [word: RegExp, instead: string])[] = [
  [part('told'), 'reported, stored, configured, logged, claimed or delivered, whichever is meant'],
  [part('said|saying'), 'events, facts, published or logged, whichever is meant'],
  [whole('say'), 'raise, publish, send or commit, whichever is done'],
  [part('kept'), 'nacked, unchanged, oldestStamp or stillBuffered, whichever is meant'],
  [part('wanted'), 'requested, expected or chosen, whichever is meant'],
  [whole('hungSince|hungAt'), 'installedAt'],
  [part('mischief'), 'deviations'],
  [part('heeds|pleases'), 'accepts'],
  [whole('unheardMost'), 'counterMargin'],
  [whole('RunnerSettings'), 'PortContext'],
  [whole('settle'), 'commitSlice, or what is settled'],
  [whole('horizon'), 'reportOverwritten, or what ends there'],
  [whole('give'), 'answer, resolve, or what is given'],
  [whole('stir|stirs|stirred'), 'wakeUp'],
  [whole('apart'), 'unpack, claims or separator, whichever is meant'],
  [whole('strays'), 'corrupt'],
  [whole('alone'), 'single, onlyOne or lastUnpacked, whichever is meant'],
  [whole('keepPending'), 'republishPending'],
  [whole('readAgain'), 'resetCoverage'],
  [whole('fragile'), 'degradedLine'],
  [/(?:Most|Least)(?![a-z])|^(?:most|least)[A-Z]/, 'max… or min… before what is bounded'],
];

export default {
  meta: { name: 'words' },
  rules: {
    names: {
      create: (context: Context) => {
        const check = (node: Node): void => {
          for (const [word, instead] of words)
            if (word.test(node.name)) context.report({ node, message: `\`${node.name}\`: use ${instead}` });
        };
        return { Identifier: check, PrivateIdentifier: check };
      },
    },
    comments: {
      create: (context: Context) => ({
        Program: () => {
          for (const { value, loc } of context.sourceCode.getAllComments())
            if (/\btold\b/i.test(value))
              context.report({
                loc,
                message: '`told`: use reported, stored, configured or logged, whichever is meant',
              });
        },
      }),
    },
  },
};
