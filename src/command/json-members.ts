/** JSON where a member stands twice means two things: one reader takes the first, another the last. */

/** Whether an object in this JSON, which has been parsed already, names a member twice. */
export function hasDuplicateMember(json: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  const token = /("(?:[^"\\]|\\.)*")(\s*:)?|[{}[\]]/gs;
  for (let found = token.exec(json); found; found = token.exec(json)) {
    const [text, string, colon] = found;
    if (text === '{') open.push(new Set());
    else if (text === '[') open.push(undefined);
    else if (text === '}' || text === ']') open.pop();
    else if (string !== undefined && colon !== undefined) {
      // Written in two ways a name is the same name.
      const name = JSON.parse(string) as string;
      const members = open.at(-1);
      if (members?.has(name)) return true;
      members?.add(name);
    }
  }
  return false;
}
