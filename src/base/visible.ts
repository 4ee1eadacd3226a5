/**
 * Control characters (C0, DEL, C1), format characters (bidi marks and overrides, zero width, soft hyphen, tags), line and
 * paragraph separators, private use, unassigned, and halves of surrogate pairs: what a terminal obeys or does not show.
 */
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}\u115f\u1160\u3164\uffa0]/gu;

/**
 * One line as a person's terminal may get it: whatever a meter, a broker or a file put into it is visible and does
 * nothing. The form is JSON's \uXXXX, so that a line of JSON stays the same value: outside of its strings it has no such
 * character.
 */
export const visible = (line: string): string =>
  line.replaceAll(invisible, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
